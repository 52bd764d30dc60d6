// SPDX-License-Identifier: MIT
import CLibuv
import PomeloLoop

/// A listening TCP socket.
@safe @Loop final class TCPListener: StreamListener {
    /// Connections the kernel holds for us between two turns.
    private static let backlog: Int32 = 1024

    private let driver: UVDriver
    // SAFETY: written in init only; libuv has let go of it before deinit runs.
    private nonisolated(unsafe) let handle: UnsafeMutablePointer<uv_tcp_t>
    private let accept: @Loop (any ByteStream) -> Void
    private var open = true

    init(
        driver: UVDriver, _ address: SocketAddress, accept: @escaping @Loop (any ByteStream) -> Void
    ) throws(NetworkError) {
        self.driver = driver
        self.accept = accept
        unsafe handle = try newTCPHandle(driver)
        unsafe handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
        var status = unsafe withKernelAddress(address) { unsafe uv_tcp_bind(handle, $0, 0) }
        if status == 0 { status = listen() }
        if status < 0 {
            close()
            throw NetworkError(status: status, "cannot listen on \(address)")
        }
    }

    deinit { unsafe handle.deallocate() }

    var localAddress: SocketAddress { unsafe addressOf(handle, uv_tcp_getsockname) }

    private func listen() -> Int32 {
        let stream = unsafe UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_stream_t.self)
        return unsafe uv_listen(stream, Self.backlog) { stream, status in
            guard let data = unsafe stream?.pointee.data, status == 0 else { return }
            let listener = unsafe Unmanaged<TCPListener>.fromOpaque(data).takeUnretainedValue()
            Loop.fromCallback { listener.acceptOne() }
        }
    }

    private func acceptOne() {
        // Out of memory for the handle is the only failure; the peer then sees a reset.
        guard
            case .success(let client) = Result(catching: { () throws(NetworkError) in
                try TCPStream(driver: driver)
            })
        else { return }
        let server = unsafe UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_stream_t.self)
        let peer = unsafe UnsafeMutableRawPointer(client.handle).assumingMemoryBound(to: uv_stream_t.self)
        guard unsafe uv_accept(server, peer) == 0 else { return client.close() }
        client.opened()
        accept(client)
    }

    func close() {
        guard open else { return }
        open = false
        unsafe handle.withMemoryRebound(to: uv_handle_t.self, capacity: 1) { handle in
            unsafe uv_close(handle) { handle in
                guard let data = unsafe handle?.pointee.data else { return }
                unsafe Unmanaged<TCPListener>.fromOpaque(data).release()
            }
        }
    }
}
