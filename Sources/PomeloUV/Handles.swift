// SPDX-License-Identifier: MIT
import CLibuv
import PomeloLoop

// A handle's memory is libuv's until its close callback. So its `data` retains the object that owns the memory, and
// the object frees it in its deinit.

/// Closes a handle, and releases its owner once libuv has let go; `closed` is for an owner that is to know.
func closeHandle<Handle>(
    _ handle: UnsafeMutablePointer<Handle>,
    closed: uv_close_cb = { handle in
        guard let data = unsafe handle?.pointee.data else { return }
        unsafe Unmanaged<AnyObject>.fromOpaque(data).release()
    }
) {
    unsafe handle.withMemoryRebound(to: uv_handle_t.self, capacity: 1) { unsafe uv_close($0, closed) }
}

/// Gives libuv the loop's one read buffer: it reads into it at once after asking.
func giveReadBuffer(
    _: UnsafeMutablePointer<uv_handle_t>?, _: Int, _ buffer: UnsafeMutablePointer<uv_buf_t>?
) {
    guard let buffer = unsafe buffer, let driver = EventLoop.shared.uv else { return }
    let slab = unsafe driver.readSlab
    unsafe buffer.pointee = uv_buf_init(slab.baseAddress?.assumingMemoryBound(to: CChar.self), UInt32(slab.count))
}

extension UnsafeRawBufferPointer {
    /// libuv never writes through the buffers it is given to send.
    func asBuffer() -> uv_buf_t {
        let base = unsafe UnsafeMutableRawPointer(mutating: baseAddress)
        return unsafe uv_buf_init(base?.assumingMemoryBound(to: CChar.self), UInt32(count))
    }
}
