// SPDX-License-Identifier: MIT
import PomeloLibc

/// The descriptors this process may have: sockets, files, pipes.
public enum Descriptors {
    /// More are not asked for, however many the system would give.
    private static let most = 1_048_576

    /// Raises the soft limit to the hard one, and returns what came of it.
    ///
    /// Most systems start a process with 1024 and let it have far more; select(2), the reason for that, is not used.
    @discardableResult
    public static func raiseLimit() -> Int {
        guard var limits = read() else { return most }
        let wanted = min(limits.rlim_max, rlim_t(most))
        if limits.rlim_cur < wanted {
            limits.rlim_cur = wanted
            _ = unsafe setrlimit(descriptorLimit, &limits)
        }
        return limit
    }

    /// How many descriptors there may be at once.
    public static var limit: Int { read().map { Int(clamping: $0.rlim_cur) } ?? most }

    /// How many of them accepted clients may have: the rest is a reserve for Redis, other servers and files.
    ///
    /// The reserve is a quarter, at least 64 and at most 1024.
    public static var connectionLimit: Int {
        let limit = self.limit
        return max(1, limit - min(1024, max(64, limit / 4)))
    }

    private static func read() -> rlimit? {
        var limits = rlimit()
        return unsafe getrlimit(descriptorLimit, &limits) == 0 ? limits : nil
    }
}
