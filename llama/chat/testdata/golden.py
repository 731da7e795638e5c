"""Renders templates/*.jinja as transformers does, for this package's tests.

    python -m venv venv && venv/bin/pip install transformers==5.23.0 jinja2==3.1.6
    venv/bin/python golden.py

golden/TEMPLATE/ROLES.txt is the text of a dialogue with those roles; a name that ends in -generate asks
for the generation prompt. A template that refuses a dialogue has a file ROLES.error. features.json are
short templates and what they render to, or an error.
"""

import datetime
import json
import os
import shutil

import jinja2
import transformers
from transformers.utils import chat_template_utils

assert (transformers.__version__, jinja2.__version__) == ("5.23.0", "3.1.6")
HERE = os.path.dirname(os.path.abspath(__file__))
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}

MESSAGES = {
    "system": ["You are a pirate.\nAnswer briefly. "],
    "user": [" Who are you?", "And who am <|user|> I?\n", "日本語 'quoted' \"text\" {{ 7 * 7 }} {% raw %}"],
    "assistant": ["A pirate! \n", "  Nobody </s> knows.", "<think>\nwho\n</think>\n\nme"],
}
ROLES = ["user", "system user", "user assistant", "user assistant user", "system user assistant user", "user assistant user assistant", "system user assistant user assistant user", "user user", "assistant"]

FEATURES = [
    "{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 2 ** 10 }} {{ 1.5 + 1 }} {{ 10 / 4 }} {{ 1e20 }} {{ 3.0 }} {{ 1e-7 }}",
    "{{ 'a' ~ 1 ~ none ~ true ~ 2.0 }}{{ 'ab' * 3 }}{{ [1, 2] + [3] }}{{ [0] * 2 }}",
    "{{ [1, 'a', none, true, {'k': \"it's\"}] }} {{ {'a': 1, 'b': [2]} }} {{ ('x',) | list }}",
    "{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ 'a' in 'abc' }} {{ 2 not in [1, 3] }} {{ 'k' in {'k': 1} }} {{ not 1 == 2 }} {{ true and 'x' or 'y' }}",
    "{% for i in range(5) %}{{ loop.index }}/{{ loop.length }}{{ ',' if not loop.last }}{% endfor %}",
    "{% for i in [3, 1, 2] | sort %}{{ i }}{% else %}none{% endfor %}{% for i in [] %}x{% else %}empty{% endfor %}",
    "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }};{% endfor %}{% for k in {'a': 1} %}{{ k }}{% endfor %}",
    "{% for i in range(10) if i is odd %}{{ i }}{% if i > 5 %}{% break %}{% endif %}{% continue %}x{% endfor %}",
    "{% for a in [1, 2] %}{% for b in 'xy' %}{{ loop.depth }}{{ a }}{{ b }}{{ loop.previtem }}{{ loop.nextitem }} {% endfor %}{% endfor %}",
    "{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}{% if true %}{% set x = 3 %}{% endif %}{{ x }}",
    "{% set ns = namespace(n=0, t='') %}{% for i in range(4) %}{% set ns.n = ns.n + i %}{% set ns.t = ns.t ~ i %}{% endfor %}{{ ns.n }} {{ ns.t }}",
    "{% macro hi(name, mark='!') %}hi {{ name }}{{ mark }}{% endmacro %}{{ hi('a') }} {{ hi(name='b', mark='?') }}",
    "{% set block %} text {{ 1 }} {% endset %}[{{ block }}]{% set a, b = 1, 2 %}{{ b }}{{ a }}",
    "{{ '  x '.strip() }}|{{ ' x '.lstrip() }}|{{ 'xxay'.strip('xy') }}|{{ 'a,b,c'.split(',') }}|{{ 'a b  c'.split() }}|{{ 'a,b,c'.split(',', 1) }}|{{ 'a,b,c'.rsplit(',', 1)[0] }}",
    "{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'c')) }} {{ 'abc'.upper() }} {{ 'a b'.title() }} {{ 'aBC'.capitalize() }} {{ 'aXbX'.replace('X', '-') }} {{ 'abcb'.find('b') }} {{ 'abcb'.rfind('b') }} {{ 'abcb'.count('b') }} {{ '-'.join(['a', 'b']) }}",
    "{{ 'abcdef'[1:3] }} {{ 'abcdef'[::-1] }} {{ 'abcdef'[-2:] }} {{ [1, 2, 3, 4][::2] }} {{ [1, 2, 3][-1] }} {{ 'äöü'[1] }} {{ [1, 2, 3][5:] }} {{ 'abc'[-10:2] }}",
    "{{ [1, 2, 3] | length }} {{ 'äö' | length }} {{ 'a b' | upper }} {{ x | default('d') }} {{ '' | default('e', true) }} {{ [3, 1] | first }} {{ [3, 1] | last }} {{ [1, 2] | join('-') }} {{ 'abc' | reverse }} {{ [1, 2, 2] | unique | list }} {{ [1, 5] | max }} {{ [1, 2] | sum }}",
    "{{ messages | map(attribute='role') | list }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ messages | rejectattr('role', 'eq', 'user') | map(attribute='content') | join('|') }} {{ [1, 2, 3] | select('odd') | list }} {{ ['a'] | map('upper') | first }} {{ [0, 1] | select | list }}",
    "{{ {'b': 1, 'a': [1, 2.5, none, true], 'ü': \"<&>'\\\"\\n\"} | tojson }} {{ [] | tojson }} {{ {} | tojson }} {{ 'é' | tojson(ensure_ascii=true) }}",
    "{{ {'b': {'c': [1, 2]}, 'a': {}} | tojson(indent=2) }}",
    "{{ x is defined }} {{ messages is defined }} {{ none is none }} {{ 'a' is string }} {{ 1 is number }} {{ [] is iterable }} {{ {} is mapping }} {{ 4 is divisibleby 2 }} {{ 1 is not none }} {{ false is false }} {{ 1 is boolean }} {{ 'a' is in ['a'] }} {{ [] is sequence }}",
    "a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "a\n  {%- if true -%}\n  b\n  {%- endif -%}\nc\n", "  {{ 1 }}  \n  {# comment #}\n x {# c #} y\n", "  {%+ if true %}x{% endif +%}\n\ny", "a {{- 1 -}} b", "\n\n{%- set x = 1 %}\n\ny\n\n",
    "{% raw %}{{ x }} {% if %}{% endraw %}!", "{{ '{{' }}{{ \"%}\" }}", "{{ 'a\\n\\t\\'\\u00e9\\x41' }}", "{{ \"it's\" }} {{ 'a' 'b' }}",
    "{{ strftime_now('%Y-%m-%d') }} {{ strftime_now('%d %b %Y') }}", "{{ undefined_thing }}|{{ messages[9] }}|{{ messages[0].nothing }}",
    "{{ messages[0].get('role') }} {{ messages[0].get('x', 'y') }} {{ messages[0]['content'] }} {{ messages.0.role }} {{ messages[0].keys() | list }}",
    "{% if x is defined and x.y %}a{% elif not x %}b{% else %}c{% endif %}", "{{ 'yes' if messages else 'no' }} {{ ('a' if false) }}", "{{ [1, 2, 3] | map('string') | join }} {{ '3' | int + 1 }} {{ 'x' | int(7) }} {{ 2.5 | round }} {{ -3 | abs }} {{ 3.7 | int }}",
    "{{ 'a' + 1 }}", "{{ x.y }}", "{{ undefined_function() }}", "{{ raise_exception('no') }}", "{{ [].append(1) }}", "{% if %}", "{{ 'a' | nofilter }}", "{% for x in 5 %}{% endfor %}", "{{ 1 / 0 }}", "{% endfor %}", "{{ (1 }}", "{% unknown %}",
    "{% generation %}x{% endgeneration %}", "{{ dict(a=1)['a'] }} {{ {'items': 5}['items'] }} {{ loop is defined }}", "{% for i in range(3) %}{{ loop.cycle('a', 'b') }}{{ loop.changed(i // 2) }} {% endfor %}", "{{ 'A' | lower ~ 'b' | upper }} {{ -2 ** 2 }} {{ 1 if 0 else 2 if 0 else 3 }} {{ not false }}", "{{ 'a\nb'.splitlines() }} {{ 'abc' | list }} {{ 'x=%d' }} {{ true }} {{ none }} {{ [none] }}", "{{ messages | length > 1 and messages[-1]['role'] == 'assistant' }}", "{{ {'b': 2, 'a': 1} | dictsort | map('first') | list }} {{ {'a': 1} | items | map('last') | list }}",
    "{{ (1,) }} {{ () }} {{ {'b': 1}.items() | list }} {{ {'b': 1} | dictsort }} {{ (1, 2) == [1, 2] }} {{ (1, 2, 3)[1:] }}", "{{ 1 is sameas true }} {{ true is sameas true }} {{ 1 is sameas 1.0 }} {{ none is sameas none }}",
    "{{ 3 | round }} {{ 2.675 | round(2) }} {{ 2.5 | round(0, 'floor') }} {{ 1234 | round(-2) }}", "{{ '%s is %d of %5.2f%% [%-4s] [%04d] %r %x' % ('a', 3, 2.345, 'b', -7, 'c', 255) }} {{ '%s' % 'x' }} {{ '%s and %s' | format(1, 'b') }}", "{{ '%s' % (1, 2) }}", "{{ '%d' % 'a' }}",
    "{% filter upper | trim %} straße {{ 'x' }} {% endfilter %}|{% set y | lower %}ABC ΑΣ{% endset %}{{ y }}|{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{{ 'straße ΟΔΟΣ İ' | upper }} {{ 'ΟΔΟΣ İ' | lower }} {{ 'ǆx ß' | title }} {{ 'ßA' | capitalize }} {{ \"it's (a) well-KNOWN\" | title }} {{ \"it's (a) well-KNOWN\".title() }}", "{{ 'a\\r\\nb\\x0bc\\u2028d\\re'.splitlines() }} {{ 'a\\nb'.splitlines(true) }} {{ '\\x1f a \\x1c'.strip() }} {{ 'a\\x1db'.split() }}",
    "{{ 'a\\n\\nb' | indent }}|{{ 'a\\nb\\n' | indent(2, true) }}|{{ 'a\\n\\nb' | indent('> ', blank=true) }}", "{{ 'ab'.ljust(4) }}|{{ 'ab'.rjust(5, '*') }}|{{ 'ab'.center(5) }}|{{ 'abc' | center(6) }}|{{ '-7'.zfill(4) }}|{{ 'a=b=c'.partition('=') }}|{{ 'a=b=c'.rpartition('=') }}|{{ 'abcb'.rindex('b') }}",
    "{{ [1, 2, 3, 4, 5] | batch(2) | list }} {{ [1, 2, 3] | batch(2, 'x') | list }} {{ \"two words, it's 4\" | wordcount }}", "a{% raw %} {{ x }} {% endraw +%}\n b{%+ raw %}c{%- endraw %}", "{% raw +%}{% endraw %}",
]


def dialogue(roles):
    seen = {}
    for role in roles.split():
        n = seen.get(role, 0)
        seen[role] = n + 1
        yield {"role": role, "content": MESSAGES[role][n % len(MESSAGES[role])]}


def render(template, messages, generate):
    compiled = chat_template_utils._compile_jinja_template(template)
    compiled.environment.globals["strftime_now"] = lambda f: datetime.datetime(2024, 7, 26, 12, 30).strftime(f)
    compiled = compiled.environment.from_string(template)
    return compiled.render(messages=messages, tools=None, documents=None, add_generation_prompt=generate, **TOKENS)


def main():
    shutil.rmtree(f"{HERE}/golden", ignore_errors=True)
    for name in sorted(os.listdir(f"{HERE}/templates")):
        with open(f"{HERE}/templates/{name}", encoding="utf-8") as f:
            template = f.read()
        folder = f"{HERE}/golden/{name.removesuffix('.jinja')}"
        os.makedirs(folder)
        for roles in ROLES:
            for generate in (False, True):
                file = folder + "/" + roles.replace(" ", "-") + ("-generate" if generate else "")
                try:
                    text, end = render(template, list(dialogue(roles)), generate), ".txt"
                except jinja2.TemplateError:
                    text, end = "", ".error"
                with open(file + end, "w", encoding="utf-8", newline="") as f:
                    f.write(text)
    features = []
    for template in FEATURES:
        try:
            features.append({"template": template, "text": render(template, list(dialogue("user assistant")), False)})
        except Exception as e:
            features.append({"template": template, "error": type(e).__name__})
    with open(f"{HERE}/features.json", "w", encoding="utf-8") as f:
        json.dump({"messages": MESSAGES, "features": features}, f, ensure_ascii=False, indent=1)
        f.write("\n")


main()
