// SPDX-License-Identifier: MIT
import CLibuv
public import PomeloLoop

/// Calls back on the loop for each arrival of one signal, until stopped.
@safe @Loop public final class SignalWatcher {
    // SAFETY: written in init only; libuv has let go of it before deinit runs.
    private nonisolated(unsafe) let handle: UnsafeMutablePointer<uv_signal_t>
    private let action: @Loop () -> Void
    private var open = true

    /// Watches a signal by its number.
    ///
    /// - Throws: `NetworkError` when the kernel refuses, as for SIGKILL.
    public init(_ signal: Int32, _ action: @escaping @Loop () -> Void) throws(NetworkError) {
        self.action = action
        let driver = try requireDriver()
        unsafe handle = .allocate(capacity: 1)
        unsafe uv_signal_init(driver.loop, handle)
        unsafe handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
        let status = unsafe uv_signal_start(
            handle,
            { handle, _ in
                guard let data = unsafe handle?.pointee.data else { return }
                let watcher = unsafe Unmanaged<SignalWatcher>.fromOpaque(data).takeUnretainedValue()
                Loop.fromCallback { watcher.action() }
            }, signal)
        if status < 0 {
            stop()
            throw NetworkError(status: status, "cannot watch signal \(signal)")
        }
    }

    deinit { unsafe handle.deallocate() }

    /// Restores the signal's former effect.
    public func stop() {
        guard open else { return }
        open = false
        unsafe closeHandle(handle)
    }
}
