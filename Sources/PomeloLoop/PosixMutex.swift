// SPDX-License-Identifier: MIT
import PomeloLibc

/// A pthread mutex around a value.
///
/// `Synchronization.Mutex` locks with raw futex calls that the thread sanitizer cannot see and reports as races.
@safe final class PosixMutex<Value>: @unchecked Sendable {
    // SAFETY: `value` is touched only between lock and unlock.
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var value: Value

    init(_ value: Value) {
        self.value = value
        unsafe lock = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        unsafe pthread_mutex_init(lock, nil)
        unsafe pthread_cond_init(condition, nil)
    }

    deinit {
        unsafe pthread_mutex_destroy(lock)
        unsafe pthread_cond_destroy(condition)
        unsafe lock.deallocate()
        unsafe condition.deallocate()
    }

    func withLock<T>(_ body: (inout Value) throws -> T) rethrows -> T {
        unsafe pthread_mutex_lock(lock)
        defer { unsafe pthread_mutex_unlock(lock) }
        return try body(&value)
    }

    /// Waits until `take` returns a value; `signal` makes it look again.
    func waitFor<T>(_ take: (inout Value) -> T?) -> T {
        unsafe pthread_mutex_lock(lock)
        defer { unsafe pthread_mutex_unlock(lock) }
        while true {
            if let taken = take(&value) { return taken }
            unsafe pthread_cond_wait(condition, lock)
        }
    }

    func signal() { unsafe pthread_cond_signal(condition) }
}
