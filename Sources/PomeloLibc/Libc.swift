// SPDX-License-Identifier: MIT
//
// PomeloLibc: the C library by one name, whatever a system calls it. Reading order: Libc, Libc+Systems.
// No other file names a system's library.
#if canImport(Darwin)
    @_exported public import Darwin
#elseif canImport(Musl)
    @_exported public import Musl
#else
    @_exported public import Glibc
#endif
