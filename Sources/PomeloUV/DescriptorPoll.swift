// SPDX-License-Identifier: MIT
import CLibuv
public import PomeloLoop

/// Watches a socket that another library owns, and says when it may be read or written.
@safe @Loop public final class DescriptorPoll {
    /// What a socket is watched for, or ready for.
    public struct Readiness: OptionSet, Sendable {
        /// libuv's event bits.
        public let rawValue: Int32

        /// Takes libuv's event bits as they are.
        public init(rawValue: Int32) { self.rawValue = rawValue }

        /// Bytes, or the end of the stream, can be read.
        public static let readable = Readiness(rawValue: Int32(UV_READABLE.rawValue))
        /// Bytes can be written, or a connection attempt has ended.
        public static let writable = Readiness(rawValue: Int32(UV_WRITABLE.rawValue))
    }

    // SAFETY: written in init only; libuv has let go of it before deinit runs.
    private nonisolated(unsafe) let handle: UnsafeMutablePointer<uv_poll_t>
    private let onReady: @Loop (Readiness) -> Void
    private var watched: Readiness = []
    private var closed = false

    /// Watches for nothing until `watch` is called; the descriptor must stay open until `close`.
    ///
    /// An error on the socket is reported as readiness for all that was watched, and ends the watch: the owner reads or
    /// writes, finds the cause there, or watches again.
    public init(descriptor: Int32, onReady: @escaping @Loop (Readiness) -> Void) throws(NetworkError) {
        let driver = try requireDriver()
        let poll = UnsafeMutablePointer<uv_poll_t>.allocate(capacity: 1)
        let status = unsafe uv_poll_init(driver.loop, poll, descriptor)
        if status < 0 {
            unsafe poll.deallocate()
            throw NetworkError(status: status, "cannot watch a socket")
        }
        unsafe handle = poll
        self.onReady = onReady
        unsafe handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
    }

    deinit { unsafe handle.deallocate() }

    /// Replaces what the socket is watched for; costs nothing when nothing changes.
    public func watch(_ wanted: Readiness) {
        guard wanted != watched, !closed else { return }
        watched = wanted
        if wanted.isEmpty {
            _ = unsafe uv_poll_stop(handle)
            return
        }
        _ = unsafe uv_poll_start(handle, wanted.rawValue) { handle, status, events in
            guard let data = unsafe handle?.pointee.data else { return }
            let poll = unsafe Unmanaged<DescriptorPoll>.fromOpaque(data).takeUnretainedValue()
            Loop.fromCallback { poll.fired(status, Readiness(rawValue: events)) }
        }
    }

    private func fired(_ status: Int32, _ events: Readiness) {
        guard !closed else { return }
        if status == 0 { return onReady(events) }
        // libuv has stopped watching; forgetting what was watched makes the next `watch` start again.
        let all = watched
        watched = []
        onReady(all)
    }

    /// Stops watching at once; the descriptor may be closed after this returns.
    public func close() {
        guard !closed else { return }
        closed = true
        unsafe closeHandle(handle)
    }
}
