// Package jinja renders chat templates: the part of Jinja 2 (https://jinja.palletsprojects.com) that
// models' tokenizer_config.json use, as transformers sets it up (trim_blocks and lstrip_blocks on,
// an immutable sandbox, raise_exception, strftime_now, tojson, namespace, break, continue and the
// generation tag).
//
// Templates come with downloaded models, so they are untrusted. A template here can reach nothing but
// the variables that it was given, and every render has a budget of steps, of bytes that it builds and of
// nested calls, beside its context's deadline: what runs over stops with an error that says so. General
// Go implementations of Jinja offer no such budget (a loop over range(10**9), a string that doubles
// forty times, a macro that calls itself), and a goroutine cannot be stopped from outside; the other way
// would be a process for each render.
//
// What is not here (include, import, extends, call blocks, str.format) is refused by
// name when the template is parsed or when it is reached.
package jinja
