// SPDX-License-Identifier: MIT
//
// What systems spell differently. Linux with Glibc is what the tests run on.

#if canImport(Glibc)
    /// The kind of a socket that is a stream of bytes.
    package var streamKind: Int32 { Int32(SOCK_STREAM.rawValue) }
    /// The limit on descriptors, for `getrlimit`.
    package var descriptorLimit: __rlimit_resource_t { __rlimit_resource_t(RLIMIT_NOFILE.rawValue) }
#else
    /// The kind of a socket that is a stream of bytes.
    package var streamKind: Int32 { Int32(SOCK_STREAM) }
    /// The limit on descriptors, for `getrlimit`.
    package var descriptorLimit: Int32 { Int32(RLIMIT_NOFILE) }
#endif

/// The clock that counts from the system's start, also while it sleeps.
package var bootClock: clockid_t {
    #if canImport(Darwin)
        CLOCK_MONOTONIC_RAW
    #else
        CLOCK_BOOTTIME
    #endif
}

/// A stream socket that does not block and is not left to child processes; negative, with `errno`, when there is none.
package func streamSocket(_ family: Int32) -> Int32 {
    #if canImport(Darwin)
        let descriptor = socket(family, streamKind, 0)
        guard descriptor >= 0 else { return descriptor }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        return descriptor
    #elseif canImport(Musl)
        return socket(family, streamKind | Int32(SOCK_NONBLOCK) | Int32(SOCK_CLOEXEC), 0)
    #else
        return socket(family, streamKind | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    #endif
}
