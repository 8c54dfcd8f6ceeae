// To be preloaded: writes down, in order, the calls that change files, a line each, to the file that RECORD names.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static FILE* record;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char watched[1024];  // descriptors of what may be changed or is a folder

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) { record = fopen(getenv("RECORD"), "we"); }

static int is_watched(int fd) { return record != NULL && fd >= 0 && fd < (int)sizeof(watched) && watched[fd]; }

static void note(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(record, format, arguments);
  va_end(arguments);
  fflush(record);
}

static int open_noted(int (*real)(const char*, int, ...), const char* path, int flags, mode_t mode) {
  struct stat info;
  const int existed = stat(path, &info) == 0;
  const int fd = real(path, flags, mode);
  if (fd < 0 || fd >= (int)sizeof(watched) || record == NULL) return fd;
  watched[fd] = (flags & O_ACCMODE) != O_RDONLY || (flags & O_DIRECTORY) != 0;
  if (!watched[fd] || fstat(fd, &info) != 0 || (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))) {
    watched[fd] = 0;
    return fd;
  }
  const int exclusive = (flags & O_EXCL) != 0 && (flags & O_NOFOLLOW) != 0;
  note("open %d %d %d %s\n", fd, !existed, exclusive, path);
  if (existed && (flags & O_TRUNC) != 0) note("truncate %d 0\n", fd);
  return fd;
}

static mode_t mode_of(int flags, va_list arguments) { return (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0; }

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_noted(REAL(open), path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_noted(REAL(open64), path, flags, mode);
}

ssize_t write(int fd, const void* bytes, size_t size) {
  pthread_mutex_lock(&mutex);
  const ssize_t written = REAL(write)(fd, bytes, size);
  if (is_watched(fd) && written > 0) {
    note("write %d ", fd);
    for (ssize_t i = 0; i < written; ++i) fprintf(record, "%02x", ((const unsigned char*)bytes)[i]);
    note("\n");
  }
  pthread_mutex_unlock(&mutex);
  return written;
}

int fsync(int fd) {
  const int result = REAL(fsync)(fd);
  if (is_watched(fd)) note("sync %d\n", fd);
  return result;
}

static int truncate_noted(int (*real)(int, off_t), int fd, off_t size) {
  const int result = real(fd, size);
  if (is_watched(fd) && result == 0) note("truncate %d %lld\n", fd, (long long)size);
  return result;
}

int ftruncate(int fd, off_t size) { return truncate_noted(REAL(ftruncate), fd, size); }
int ftruncate64(int fd, off_t size) { return truncate_noted(REAL(ftruncate64), fd, size); }

int close(int fd) {
  if (is_watched(fd)) {
    watched[fd] = 0;
    note("close %d\n", fd);
  }
  return REAL(close)(fd);
}

int rename(const char* from, const char* to) {
  const int result = REAL(rename)(from, to);
  if (record != NULL && result == 0) note("rename %s\t%s\n", from, to);
  return result;
}

int link(const char* from, const char* to) {
  const int result = REAL(link)(from, to);
  if (record != NULL && result == 0) note("link %s\t%s\n", from, to);
  return result;
}

int unlink(const char* path) {
  const int result = REAL(unlink)(path);
  if (record != NULL && result == 0) note("unlink %s\n", path);
  return result;
}
