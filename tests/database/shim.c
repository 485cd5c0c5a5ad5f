/* Preloaded into a process, it kills that at the n-th call that changes files, before the call, or in mid-write. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static volatile long calls, fatal;
static volatile int torn;

/* From now on the call number n is the last one; with half, half of it happens if it is a write. n = 0: none is. */
void shim_arm(long n, int half)
{
    calls = 0;
    fatal = n;
    torn = half;
}

/* Calls since it was armed. */
long shim_calls(void)
{
    return calls;
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static int due(void)
{
    return __sync_add_and_fetch(&calls, 1) == fatal;
}

static void count(void)
{
    if (due())
        die();
}

ssize_t write(int fd, const void *data, size_t size)
{
    if (due()) {
        if (torn)
            syscall(SYS_write, fd, data, size / 2);
        die();
    }
    return syscall(SYS_write, fd, data, size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    count();
    return syscall(SYS_pwrite64, fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite64(fd, data, size, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int number)
{
    count();
    return syscall(SYS_writev, fd, parts, number);
}

static int do_open(int at, const char *path, int flags, mode_t mode)
{
    if (flags & (O_CREAT | O_TRUNC))
        count();
    return (int)syscall(SYS_openat, at, path, flags, mode);
}

#define MODE(flags)                                                                                                    \
    mode_t mode = 0;                                                                                                   \
    if ((flags) & O_CREAT) {                                                                                           \
        va_list arguments;                                                                                             \
        va_start(arguments, flags);                                                                                    \
        mode = va_arg(arguments, mode_t);                                                                              \
        va_end(arguments);                                                                                             \
    }

int open(const char *path, int flags, ...)
{
    MODE(flags)
    return do_open(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE(flags)
    return do_open(AT_FDCWD, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...)
{
    MODE(flags)
    return do_open(at, path, flags, mode);
}

int openat64(int at, const char *path, int flags, ...)
{
    MODE(flags)
    return do_open(at, path, flags, mode);
}

int fsync(int fd)
{
    count();
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    count();
    return (int)syscall(SYS_fdatasync, fd);
}

int rename(const char *from, const char *to)
{
    count();
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char *path)
{
    count();
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int mkdir(const char *path, mode_t mode)
{
    count();
    return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int ftruncate64(int fd, off64_t size)
{
    count();
    return (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}
