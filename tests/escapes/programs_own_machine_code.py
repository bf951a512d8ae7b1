# attack: programs/own-machine-code
# oracle: write-file
# imports: subprocess
# tools:
# source: own
# note: a program compiled in the box, where there is a compiler: every call that leads out, by its number
import subprocess
source = r'''
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <unistd.h>
#include <sys/wait.h>
int main() {
  long calls[] = {SYS_setuid, SYS_setgid, SYS_setresuid, SYS_chroot, SYS_unshare, SYS_mount, SYS_ptrace, SYS_setns, SYS_bpf, SYS_keyctl, SYS_memfd_create};
  for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++)
    if (!fork()) { syscall(calls[i], i < 3 ? 0L : 0x10000000L, 0L, 0L, 0L, 0L); fclose(fopen("{{PWN_FILE}}", "w")); _exit(0); } else wait(0);
  char text[100] = {0};
  int fd = open("{{SECRET_FILE}}", O_RDONLY);
  if (fd >= 0) { read(fd, text, 99); puts(text); }
  for (int base = 0; base < 2; base++) {
    int s = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {AF_INET, htons({{PORT}}), {htonl(INADDR_LOOPBACK)}};
    if (connect(s, (struct sockaddr *)&to, sizeof to) == 0) write(s, "x", 1);
  }
  unsigned char gate[] = {0xB8, 5, 0, 0, 0, 0xBB, 0, 0, 0, 0, 0xCD, 0x80, 0xC3};
  void *at = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at != MAP_FAILED && !fork()) { memcpy(at, gate, sizeof gate); ((int (*)(void))at)(); fclose(fopen("{{PWN_FILE}}", "w")); _exit(0); }
  wait(0);
  return 0;
}
'''
try:
    subprocess.run(["gcc", "-w", "-o", "own", "-x", "c", "-"], input=source, text=True, timeout=5)
    print(subprocess.run(["./own"], capture_output=True, text=True, timeout=3))
except (OSError, subprocess.TimeoutExpired) as error:
    print(error)
