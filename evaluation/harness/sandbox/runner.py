# Runs the program that comes on standard input behind a line with a secret. It says on descriptor 3 when it is ready, and then
# "passed" with the secret, or "raised" with the exception.
import os
import resource
import sys


def main():
    write, leave = os.write, os._exit
    seconds, memory, processes, disk = map(int, sys.argv[1:])
    for limit, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_FSIZE, disk),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NPROC, processes),
        (resource.RLIMIT_CPU, seconds),
    ):
        resource.setrlimit(limit, (most, most))
    sys.argv[1:] = []
    os.environ.clear()  # the interpreter sets its locale there
    write(3, b"ready\n")
    secret, _, program = sys.stdin.buffer.read().partition(b"\n")
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    try:
        exec(compile(program, "program.py", "exec", dont_inherit=True), {})
        end = b"passed " + secret
    except BaseException as e:
        end = ("raised %s: %s" % (type(e).__name__, e)).encode("utf-8", "replace")[:1000]
    write(3, end)
    leave(0)


main()
