// SPDX-License-Identifier: MIT
import PomeloLibc
public import PomeloLoop

/// A file that is locked for one holder at a time: this process, and those that inherit the descriptor.
///
/// - Guarantee: it is free when the last of them has closed it or is gone, however it went.
/// - Source: flock(2).
public final class FileLock: Sendable {
    /// To be inherited by who is to hold it too.
    public let descriptor: Int32

    /// Takes the lock; nil when somebody else has it.
    ///
    /// - Throws: `NetworkError` when there can be no such file.
    public init?(_ path: String) throws(NetworkError) {
        descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw NetworkError(status: -errno, "cannot lock \(path)") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            PomeloLibc.close(descriptor)
            return nil
        }
    }

    deinit { PomeloLibc.close(descriptor) }
}
