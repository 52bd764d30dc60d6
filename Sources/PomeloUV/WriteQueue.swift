// SPDX-License-Identifier: MIT
import CLibuv
import PomeloLoop

/// What a stream has yet to hand to the kernel, in order.
///
/// The first message lies beside the others: in most turns there is one, and it needs no list.
@safe struct WriteQueue {
    /// Messages are gathered up to this size before a system call.
    static let gatherBytes = 65_536
    @Loop private static let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: gatherBytes, alignment: 64)

    private var first: [UInt8] = []
    /// Bytes of `first` that are written already.
    private var offset = 0
    private var rest: [[UInt8]] = []

    mutating func append(_ message: [UInt8]) {
        if first.isEmpty { first = message } else { rest.append(message) }
    }

    /// Offers everything to the kernel; returns how many bytes it took, and zero when that is all, `UV_EAGAIN` when
    /// the kernel is full, or another error.
    @Loop mutating func offer(to stream: UnsafeMutablePointer<uv_stream_t>) -> (written: Int, status: Int32) {
        var all = 0
        while !first.isEmpty {
            let (written, offered) = unsafe offerNext(to: stream)
            if written < 0 { return (all, written) }
            consume(Int(written))
            all += Int(written)
            if Int(written) < offered { return (all, UV_EAGAIN.rawValue) }
        }
        return (all, 0)
    }

    @Loop private func offerNext(to stream: UnsafeMutablePointer<uv_stream_t>) -> (written: Int32, offered: Int) {
        if rest.isEmpty { return (unsafe Self.tryWrite(first, from: offset, to: stream), first.count - offset) }
        let next = unsafe gather()
        return (unsafe Self.tryWrite(next, to: stream), next.count)
    }

    /// Copies the next bytes into the buffer that all streams share; a copy costs far less than a second system call.
    @Loop func gather() -> UnsafeRawBufferPointer {
        var used = unsafe Self.copy(first, from: offset, to: Self.scratch[...])
        for message in rest where used < Self.gatherBytes {
            used += unsafe Self.copy(message, from: 0, to: Self.scratch[used...])
        }
        return unsafe UnsafeRawBufferPointer(rebasing: Self.scratch[..<used])
    }

    /// Forgets the next bytes, which are written.
    mutating func consume(_ count: Int) {
        offset += count
        guard offset >= first.count else { return }
        offset -= first.count
        var gone = 0
        while gone < rest.count, offset >= rest[gone].count {
            offset -= rest[gone].count
            gone += 1
        }
        first = gone < rest.count ? rest[gone] : []
        // An empty list keeps no memory: most streams are idle.
        if gone + 1 < rest.count { rest.removeFirst(gone + 1) } else { rest = [] }
    }

    // A closure that belongs to the loop is checked each time somebody else calls it; these belong to nobody.

    private static func tryWrite(
        _ message: [UInt8], from offset: Int, to stream: UnsafeMutablePointer<uv_stream_t>
    ) -> Int32 {
        unsafe message.withUnsafeBytes { unsafe tryWrite(UnsafeRawBufferPointer(rebasing: $0[offset...]), to: stream) }
    }

    private static func tryWrite(
        _ bytes: UnsafeRawBufferPointer, to stream: UnsafeMutablePointer<uv_stream_t>
    ) -> Int32 {
        var buffer = unsafe bytes.asBuffer()
        return unsafe uv_try_write(stream, &buffer, 1)
    }

    /// Copies as much of a message as the target has room for; returns how much that was.
    private static func copy(
        _ message: [UInt8], from start: Int, to target: UnsafeMutableRawBufferPointer.SubSequence
    ) -> Int {
        unsafe message.withUnsafeBytes { bytes in
            let next = unsafe bytes[start...].prefix(target.count)
            unsafe UnsafeMutableRawBufferPointer(rebasing: target).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: next))
            return unsafe next.count
        }
    }
}
