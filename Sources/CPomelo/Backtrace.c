// SPDX-License-Identifier: MIT
// Where a thread of this process is, asked by another one.
//
// A thread that computes is sampled by a signal. One that waits in the kernel must not be: nanosleep, poll and others
// return early then, whatever SA_RESTART says. But it stands still, so its stack can be read where it lies.
#define _GNU_SOURCE
#include "CPomelo.h"

#if defined(__linux__)

#include <dlfcn.h>
#include <elf.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FRAMES = 64, MAX_SEGMENTS = 256 };
// Another thread's stack is read on purpose.
#define READS_STACK __attribute__((no_sanitize("address", "thread")))
static pthread_t armed_thread;
static long armed_number;
static uintptr_t stack_end;
static atomic_int armed, frame_count;
static void *frames[MAX_FRAMES];

static void sample(int signal_number) {
    (void)signal_number;
    atomic_store(&frame_count, backtrace(frames, MAX_FRAMES));
}

void pomelo_arm_backtrace(void) {
    void *warm_up[1];
    backtrace(warm_up, 1); // loads libgcc now: the first call allocates and must not happen in a signal handler
    struct sigaction action = {.sa_handler = sample, .sa_flags = SA_RESTART};
    sigaction(SIGURG, &action, NULL); // ignored by default and unused by libuv
    sigset_t sampled; // a thread inherits its creator's mask, and Dispatch's workers block every signal
    sigemptyset(&sampled);
    sigaddset(&sampled, SIGURG);
    pthread_sigmask(SIG_UNBLOCK, &sampled, NULL);
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        void *lowest = NULL;
        size_t size = 0;
        pthread_attr_getstack(&attributes, &lowest, &size);
        stack_end = (uintptr_t)lowest + size;
        pthread_attr_destroy(&attributes);
    }
    armed_thread = pthread_self();
    armed_number = syscall(SYS_gettid);
    atomic_store(&armed, 1);
}

// MARK: a thread that computes

static int sampled(void **addresses, int capacity) {
    atomic_store(&frame_count, 0);
    if (pthread_kill(armed_thread, SIGURG) != 0) return 0;
    for (int tries = 0; tries < 100 && atomic_load(&frame_count) == 0; tries++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    int count = atomic_load(&frame_count);
    // The first two are the handler and the kernel's way back from it.
    int skipped = count > 2 ? 2 : 0;
    count = count - skipped < capacity ? count - skipped : capacity;
    memcpy(addresses, frames + skipped, (size_t)count * sizeof *addresses);
    return count;
}

// MARK: a thread that waits in the kernel

struct code {
    int count;
    struct {
        uintptr_t first, end;
    } segments[MAX_SEGMENTS];
};

static int note_code(struct dl_phdr_info *info, size_t size, void *context) {
    (void)size;
    struct code *code = context;
    for (int i = 0; i < info->dlpi_phnum && code->count < MAX_SEGMENTS; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD || !(header->p_flags & PF_X)) continue;
        uintptr_t first = info->dlpi_addr + header->p_vaddr;
        code->segments[code->count].first = first;
        code->segments[code->count++].end = first + header->p_memsz;
    }
    return 0;
}

/// Whether a word may be where a call returns to: in code, behind a call instruction.
static bool is_return(const struct code *code, uintptr_t word) {
    bool inside = false;
    for (int i = 0; i < code->count && !inside; i++)
        inside = word >= code->segments[i].first + 8 && word < code->segments[i].end;
    if (!inside) return false;
#if defined(__x86_64__)
    const uint8_t *at = (const uint8_t *)word;
    if (at[-5] == 0xE8) return true;
    for (int length = 2; length <= 7; length++)
        if (at[-length] == 0xFF && (at[1 - length] & 0x38) == 0x10) return true;
    return false;
#elif defined(__aarch64__)
    uint32_t before = *(const uint32_t *)(word - 4);
    return (before & 0xFC000000) == 0x94000000 || (before & 0xFFFFFC1F) == 0xD63F0000;
#else
    return true;
#endif
}

/// The frame above this one, or 0 when there is no frame here: the caller's frame, then the return address.
READS_STACK static uintptr_t next_frame(const struct code *code, uintptr_t frame) {
    if (frame % 16 != 0 || frame + 16 > stack_end) return 0;
    const uintptr_t *words = (const uintptr_t *)frame;
    uintptr_t next = words[0] & ~((uintptr_t)1 << 60); // Swift marks frames of async functions
    return next > frame && next + 16 <= stack_end && next % 16 == 0 && is_return(code, words[1]) ? next : 0;
}

READS_STACK static int walked(uintptr_t at, uintptr_t counter, void **addresses, int capacity) {
    struct code code = {0};
    dl_iterate_phdr(note_code, &code);
    int count = 0;
    addresses[count++] = (void *)counter;
    // C's library keeps no frame pointers: before the first two frames in a row, every return address counts.
    for (at &= ~(uintptr_t)7; at + 16 <= stack_end && count < capacity; at += 8) {
        uintptr_t next = next_frame(&code, at);
        if (next != 0 && next_frame(&code, next) != 0) break;
        uintptr_t word = *(const uintptr_t *)at;
        if (is_return(&code, word)) addresses[count++] = (void *)word;
    }
    for (uintptr_t next; count < capacity && (next = next_frame(&code, at)) != 0; at = next)
        addresses[count++] = (void *)((const uintptr_t *)at)[1];
    return count;
}

int pomelo_backtrace(void **addresses, int capacity) {
    if (!atomic_load(&armed) || capacity == 0) return 0;
    char name[64], text[256];
    snprintf(name, sizeof name, "/proc/self/task/%ld/syscall", armed_number);
    int file = open(name, O_RDONLY | O_CLOEXEC);
    // Where nobody says whether it waits, it is not disturbed.
    if (file < 0) return 0;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0) return 0;
    text[length] = 0;
    if (strncmp(text, "running", 7) == 0) return sampled(addresses, capacity);
    // The call's number and arguments, then the stack pointer and the program counter.
    char *last = strrchr(text, ' ');
    if (!last) return 0;
    uintptr_t counter = strtoull(last, NULL, 16);
    *last = 0;
    last = strrchr(text, ' ');
    if (!last) return 0;
    uintptr_t pointer = strtoull(last, NULL, 16);
    return pointer == 0 || pointer >= stack_end ? 0 : walked(pointer, counter, addresses, capacity);
}

// MARK: names

extern char *swift_demangle(const char *name, size_t length, char *output, size_t *capacity, uint32_t flags)
    __attribute__((weak));

struct symbol {
    const char *name;
    uintptr_t offset;
};

/// Looks through the table that linkers write for debuggers: programs export no names.
static bool find(const char *image, size_t size, uintptr_t address, struct symbol *found) {
    const ElfW(Ehdr) *header = (const void *)image;
    if (size < sizeof *header || memcmp(image, ELFMAG, SELFMAG) != 0 || header->e_shentsize != sizeof(ElfW(Shdr)) ||
        header->e_shoff > size || (size - header->e_shoff) / sizeof(ElfW(Shdr)) < header->e_shnum)
        return false;
    const ElfW(Shdr) *sections = (const void *)(image + header->e_shoff);
    bool known = false;
    for (int i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB || sections[i].sh_link >= header->e_shnum) continue;
        const ElfW(Shdr) *names = &sections[sections[i].sh_link];
        if (sections[i].sh_offset + sections[i].sh_size > size || names->sh_offset + names->sh_size > size) continue;
        const ElfW(Sym) *symbols = (const void *)(image + sections[i].sh_offset);
        for (size_t j = 0; j < sections[i].sh_size / sizeof *symbols; j++) {
            const ElfW(Sym) *symbol = &symbols[j];
            if ((symbol->st_info & 0xF) != STT_FUNC || symbol->st_name >= names->sh_size) continue;
            if (address < symbol->st_value || address - symbol->st_value >= symbol->st_size) continue;
            *found = (struct symbol){image + names->sh_offset + symbol->st_name, address - symbol->st_value};
            known = true;
        }
    }
    return known;
}

static void write_symbol(const struct symbol *symbol, char *text, size_t capacity) {
    char *plain = swift_demangle ? swift_demangle(symbol->name, strlen(symbol->name), NULL, NULL, 0) : NULL;
    snprintf(text, capacity, "%s + %lu", plain ? plain : symbol->name, (unsigned long)symbol->offset);
    free(plain);
}

bool pomelo_symbol(const void *address, char *text, size_t capacity) {
    Dl_info info;
    struct link_map *map = NULL;
    if (!dladdr1(address, &info, (void **)&map, RTLD_DL_LINKMAP)) return false;
    if (info.dli_sname) {
        struct symbol symbol = {info.dli_sname, (uintptr_t)address - (uintptr_t)info.dli_saddr};
        write_symbol(&symbol, text, capacity);
        return true;
    }
    // The program itself has no name in its list.
    int file = open(map->l_name[0] ? map->l_name : "/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file < 0) return false;
    void *image = fstat(file, &status) == 0 && status.st_size > 0
                      ? mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0)
                      : MAP_FAILED;
    close(file);
    if (image == MAP_FAILED) return false;
    struct symbol symbol;
    bool known = find(image, (size_t)status.st_size, (uintptr_t)address - map->l_addr, &symbol);
    if (known) write_symbol(&symbol, text, capacity);
    munmap(image, (size_t)status.st_size);
    return known;
}

#else

void pomelo_arm_backtrace(void) {}

int pomelo_backtrace(void **addresses, int capacity) {
    (void)addresses;
    (void)capacity;
    return 0;
}

bool pomelo_symbol(const void *address, char *text, size_t capacity) {
    (void)address;
    (void)text;
    (void)capacity;
    return false;
}

#endif
