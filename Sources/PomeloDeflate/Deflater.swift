// SPDX-License-Identifier: MIT
import CZlib
public import PomeloBytes

/// Deflates messages, each by itself, so that one compressed message serves everybody it is sent to.
///
/// Its state takes about 160 KiB with the widest window; between messages nothing of them is kept.
///
/// - Isolation: whoever owns it; it is not to be shared between threads.
/// - Source: RFC 1951; RFC 7692 §7.2.1.
@safe public final class Deflater {
    /// The fastest: on a loop that serves everybody, a message of 64 KiB takes 0.5 ms, and would take 2 to 5 ms at
    /// zlib's usual level, for a fifth less to send.
    private static let level: Int32 = 1
    /// Hash tables of 16 KiB, which are cleared for each message: with zlib's usual 64 KiB that took longer than what
    /// follows, and short messages are no shorter for it.
    private static let memoryLevel: Int32 = 6
    /// What each ends with, and WebSockets leave out.
    private static let tail: Bytes = [0, 0, 0xFF, 0xFF]

    private let stream: UnsafeMutablePointer<z_stream>

    /// Allocates the state.
    ///
    /// - Parameter windowBits: 9 to 15: nothing refers to what is further back than 512 bytes to 32 KiB.
    /// - Throws: `WireError` `.unsupported` when there is no memory for it.
    public init(windowBits: Int = 15) throws(WireError) {
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        let bits = Int32(clamping: min(max(windowBits, 9), 15))
        guard unsafe pomelo_deflate_init(stream, Self.level, -bits, Self.memoryLevel) == Z_OK else {
            unsafe stream.deallocate()
            throw .unsupported("no memory to deflate")
        }
        unsafe self.stream = stream
    }

    deinit {
        unsafe deflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Deflates one whole message; nil when it would not get smaller, which is known before more is written than that.
    ///
    /// - Returns: raw blocks without the four bytes that a flush ends with.
    public func deflate(_ message: Span<UInt8>) -> Bytes? {
        guard message.count > 1, message.count <= Int(UInt32.max) - 8 else { return nil }
        unsafe deflateReset(stream)
        let room = message.count - 1 + Self.tail.count
        var isWhole = false
        var output = Bytes()
        output.add(room) { free in
            unsafe free.withUnsafeMutableBufferPointer { buffer, count in
                unsafe stream.pointee.next_out = buffer.baseAddress
                unsafe stream.pointee.avail_out = UInt32(buffer.count)
                isWhole = unsafe message.withUnsafeBufferPointer { unsafe flush($0) }
                count = unsafe buffer.count - Int(stream.pointee.avail_out)
            }
        }
        guard isWhole, output.suffix(Self.tail.count).elementsEqual(Self.tail) else { return nil }
        // No larger than it is: it may wait for who reads slowly.
        return output.span.extracting(0..<(output.count - Self.tail.count)).copied()
    }

    /// Whether all of it has found room.
    private func flush(_ input: UnsafeBufferPointer<UInt8>) -> Bool {
        unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
        unsafe stream.pointee.avail_in = UInt32(input.count)
        defer { unsafe (stream.pointee.next_in, stream.pointee.avail_in) = (nil, 0) }
        // With room left the flush is complete.
        return unsafe CZlib.deflate(stream, Z_SYNC_FLUSH) == Z_OK && stream.pointee.avail_in == 0
            && stream.pointee.avail_out > 0
    }
}
