// SPDX-License-Identifier: MIT
//
// Addresses as the kernel has them, and as text.
import CLibuv
import PomeloLibc
import PomeloLoop

typealias AddressQuery = (
    UnsafePointer<uv_tcp_t>?, UnsafeMutablePointer<sockaddr>?, UnsafeMutablePointer<Int32>?
) -> Int32

@Loop func addressOf(_ handle: UnsafeMutablePointer<uv_tcp_t>, _ query: AddressQuery) -> SocketAddress {
    unsafe kernelAddress { address, length in unsafe query(handle, address, length) }
}

/// What a query fills in, as text; an empty host when it fails.
@Loop func kernelAddress(
    _ query: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<Int32>) -> Int32
) -> SocketAddress {
    var storage = sockaddr_storage()
    var length = Int32(MemoryLayout<sockaddr_storage>.size)
    return unsafe withUnsafeMutablePointer(to: &storage) { storage in
        unsafe storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            guard unsafe query(address, &length) == 0 else { return SocketAddress(host: "", port: 0) }
            return unsafe SocketAddress(address)
        }
    }
}

extension SocketAddress {
    /// Whether it is a file's.
    var isPath: Bool { host.utf8.first == UInt8(ascii: "/") }

    /// The text form of a kernel address.
    init(_ address: UnsafePointer<sockaddr>) {
        if unsafe address.pointee.sa_family == sa_family_t(AF_UNIX) {
            self.init(host: unsafe pathOf(address), port: 0)
            return
        }
        var text = [CChar](repeating: 0, count: 64)
        let raw = unsafe UnsafeRawPointer(address)
        var port: UInt16 = 0
        if unsafe address.pointee.sa_family == sa_family_t(AF_INET6) {
            let v6 = unsafe raw.assumingMemoryBound(to: sockaddr_in6.self)
            unsafe uv_ip6_name(v6, &text, text.count)
            port = unsafe UInt16(bigEndian: v6.pointee.sin6_port)
        } else {
            let v4 = unsafe raw.assumingMemoryBound(to: sockaddr_in.self)
            unsafe uv_ip4_name(v4, &text, text.count)
            port = unsafe UInt16(bigEndian: v4.pointee.sin_port)
        }
        let bytes = text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))
        self.init(host: String(decoding: bytes, as: UTF8.self), port: Int(port))
    }
}

/// The path of a Unix-domain address; empty for one without.
private func pathOf(_ address: UnsafePointer<sockaddr>) -> String {
    var local = unsafe UnsafeRawPointer(address).loadUnaligned(as: sockaddr_un.self)
    return unsafe withUnsafeBytes(of: &local.sun_path) { path in
        unsafe String(decoding: path.prefix { $0 != 0 }, as: UTF8.self)
    }
}

/// Calls `body` with the kernel's form of a numeric address; `UV_EINVAL` when it is not one.
func withKernelAddress(
    _ address: SocketAddress, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
) -> Int32 {
    guard let port = UInt16(exactly: address.port) else { return UV_EINVAL.rawValue }
    var v4 = sockaddr_in()
    if unsafe uv_ip4_addr(address.host, Int32(port), &v4) == 0 {
        return unsafe withUnsafePointer(to: &v4) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
    var v6 = sockaddr_in6()
    let status = unsafe uv_ip6_addr(address.host, Int32(port), &v6)
    if status < 0 { return status }
    return unsafe withUnsafePointer(to: &v6) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            unsafe body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
        }
    }
}

/// Calls `body` with the kernel's form of a path; `-ENAMETOOLONG` when it has none, `-ENOENT` for an empty one.
func withKernelPath(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard !bytes.isEmpty else { return -ENOENT }
    let fits = unsafe withUnsafeMutableBytes(of: &address.sun_path) { place in
        guard bytes.count < place.count, !bytes.contains(0) else { return false }
        unsafe place.copyBytes(from: bytes)
        return true
    }
    guard fits else { return -ENAMETOOLONG }
    return unsafe withUnsafePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
}
