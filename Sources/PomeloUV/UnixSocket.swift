// SPDX-License-Identifier: MIT
import PomeloLibc
import PomeloLoop

/// Sockets of this machine, whose address is a file.
///
/// - Source: unix(7).
@Loop enum UnixSocket {
    /// The file that a listener made, so that it removes no other.
    private struct FileID: Equatable {
        let device: UInt64
        let number: UInt64

        /// Nil when there is no such file.
        init?(_ path: String) {
            guard let status = fileStatus(path) else { return nil }
            device = UInt64(truncatingIfNeeded: status.st_dev)
            number = UInt64(truncatingIfNeeded: status.st_ino)
        }
    }

    static func listen(
        driver: UVDriver, _ path: String, _ permissions: UInt16, accept: @escaping @Loop (any ByteStream) -> Void
    ) throws(NetworkError) -> TCPListener {
        let what = "cannot listen on \(path)"
        try removeStale(path, what)
        let descriptor = try socket(what)
        var status = unsafe withKernelPath(path) { unsafe bind(descriptor, $0, $1) == 0 ? 0 : -errno }
        let isOurs = status == 0
        // Before `listen` nobody can connect, whatever the rights are until then.
        if status == 0, unsafe chmod(path, mode_t(permissions)) != 0 { status = -errno }
        if status == 0, PomeloLibc.listen(descriptor, TCPListener.backlog) != 0 { status = -errno }
        guard status == 0 else {
            PomeloLibc.close(descriptor)
            if isOurs { unsafe unlink(path) }
            throw NetworkError(status: status, what)
        }
        let file = FileID(path)
        return try TCPListener(driver: driver, listening: descriptor, accept: accept) {
            // Somebody may have put another file there.
            if FileID(path) == file { unsafe unlink(path) }
        }
    }

    static func connect(driver: UVDriver, _ path: String) throws(NetworkError) -> TCPStream {
        let what = "cannot connect to \(path)"
        let descriptor = try socket(what)
        let status = unsafe withKernelPath(path) { unsafe PomeloLibc.connect(descriptor, $0, $1) == 0 ? 0 : -errno }
        guard status == 0 else {
            PomeloLibc.close(descriptor)
            throw NetworkError(status: status, what)
        }
        return try TCPStream(
            driver: driver, ConnectedSocket(descriptor: descriptor, address: .init(host: path, port: 0)))
    }

    /// Removes the socket of a program that has ended; what is alive, or no socket, stays.
    private static func removeStale(_ path: String, _ what: String) throws(NetworkError) {
        guard let file = fileStatus(path) else { return }
        guard file.st_mode & S_IFMT == S_IFSOCK else {
            throw NetworkError(status: -EADDRINUSE, what, "the file there is no socket")
        }
        let descriptor = try socket(what)
        defer { PomeloLibc.close(descriptor) }
        let status = unsafe withKernelPath(path) { unsafe PomeloLibc.connect(descriptor, $0, $1) == 0 ? 0 : -errno }
        guard status == -ECONNREFUSED else {
            throw NetworkError(status: -EADDRINUSE, what, "somebody listens there")
        }
        unsafe unlink(path)
    }

    private static func socket(_ what: String) throws(NetworkError) -> Int32 {
        let descriptor = streamSocket(AF_UNIX)
        guard descriptor >= 0 else { throw NetworkError(status: -errno, what) }
        return descriptor
    }
}

/// What the system knows of a file, of a link itself; nil when there is none.
private func fileStatus(_ path: String) -> stat? {
    var status = stat()
    return unsafe lstat(path, &status) == 0 ? status : nil
}
