// SPDX-License-Identifier: MIT
import PomeloLibc
package import PomeloLoop

/// A pipe that has a place in the file system: whoever knows that may write to it.
package enum NamedPipe {
    /// Makes one, in the place of what is there, for this user alone, and writes a text to it: the descriptor holds it
    /// open for reading and writing, so that no reader meets its end while somebody has that.
    ///
    /// - Throws: `NetworkError` naming the place; also when the text is more than a pipe holds.
    package static func make(_ path: String, holding text: String) throws(NetworkError) -> Int32 {
        unsafe unlink(path)
        guard unsafe mkfifo(path, 0o600) == 0 else { throw NetworkError(status: -errno, "cannot make \(path)") }
        let pipe = unsafe open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)
        guard pipe >= 0 else { throw NetworkError(status: -errno, "cannot open \(path)") }
        guard write(text, toDescriptor: pipe) else {
            close(pipe)
            throw NetworkError(code: "EMSGSIZE", description: "\(path) does not hold \(text.utf8.count) bytes")
        }
        return pipe
    }

    /// Writes a text to one that somebody reads, as a whole or not at all; returns whether it was written.
    @discardableResult
    package static func write(_ text: String, to path: String) -> Bool {
        let pipe = unsafe open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)
        guard pipe >= 0 else { return false }
        defer { close(pipe) }
        return write(text, toDescriptor: pipe)
    }

    private static func write(_ text: String, toDescriptor pipe: Int32) -> Bool {
        let bytes = Array(text.utf8)
        return unsafe bytes.withUnsafeBytes { unsafe PomeloLibc.write(pipe, $0.baseAddress, $0.count) } == bytes.count
    }
}
