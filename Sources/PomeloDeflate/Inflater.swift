// SPDX-License-Identifier: MIT
//
// PomeloDeflate: zlib, for messages that are compressed each by itself or one after the other.
// Reading order: Inflater, Deflater.
import CZlib
public import PomeloBytes

/// Inflates messages one after the other, each up to a bound.
///
/// Between messages it keeps its state, about 40 KiB with the widest window, so that one serves any number of clients;
/// or, with `keepsContext`, one client, whose messages refer to those before.
///
/// - Isolation: whoever owns it; it is not to be shared between threads.
/// - Source: RFC 1950, 1951, 1952; zlib 1.2.13.
@safe public final class Inflater {
    /// What stands around the compressed bytes.
    public enum Format: Sendable, CaseIterable {
        /// Nothing: blocks, without the four bytes that a flush ends with, as WebSockets have them.
        case raw
        /// The head and the checksum of zlib or of gzip, whichever the first bytes say; both must be there.
        case zlibOrGzip
    }

    /// So much is inflated at once.
    private static let chunk = 16 * 1024
    /// What a raw message leaves out: a block of nothing, whose first bits are the last ones of the message.
    private static let tail: Bytes = [0, 0, 0xFF, 0xFF]
    /// zlib says of its data, among other things, that it stands between two blocks.
    private static let betweenBlocks: Int32 = 128

    private let stream: UnsafeMutablePointer<z_stream>
    private let format: Format
    private let keepsContext: Bool

    /// Allocates the state.
    ///
    /// - Parameters:
    ///   - format: what stands around the compressed bytes.
    ///   - windowBits: the widest window of who deflates, 9 to 15: of 512 bytes to 32 KiB.
    ///   - keepsContext: whether messages may refer to those before; only `raw` ones do.
    /// - Throws: `WireError` `.unsupported` when there is no memory for it.
    public init(_ format: Format, windowBits: Int = 15, keepsContext: Bool = false) throws(WireError) {
        let bits = Int32(clamping: min(max(windowBits, 9), 15))
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        // zlib is told by the number: negative is raw, 32 more looks at the head.
        guard unsafe pomelo_inflate_init(stream, format == .raw ? -bits : bits + 32) == Z_OK else {
            unsafe stream.deallocate()
            throw .unsupported("no memory to inflate")
        }
        unsafe self.stream = stream
        self.format = format
        self.keepsContext = keepsContext
    }

    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// What came of the last message, in bytes.
    var produced: Int { unsafe Int(clamping: stream.pointee.total_out) }

    /// Inflates one whole message.
    ///
    /// No more than `limit` bytes are ever allocated for it, and no more than one byte beyond them is inflated.
    ///
    /// - Parameters:
    ///   - message: as it is compressed.
    ///   - limit: the longest that may come of it, in bytes.
    /// - Returns: what it was before.
    /// - Throws: `WireError` `.malformed` for bytes that are nothing compressed, cut short, or followed by others;
    ///   `.tooLarge` for more than `limit` bytes. With `keepsContext` it is of no more use then.
    /// - Source: RFC 7692 §7.2.2.
    public func inflate(_ message: Span<UInt8>, limit: Int) throws(WireError) -> Bytes {
        if !keepsContext { unsafe inflateReset(stream) }
        var output = Bytes()
        if format == .raw, message.isEmpty { return output }
        var hasEnded = try inflate(message, into: &output, limit)
        if format == .raw, !hasEnded {
            hasEnded = try inflate(Self.tail.span, into: &output, limit)
            if unsafe stream.pointee.data_type & Self.betweenBlocks != 0 { hasEnded = true }
        }
        guard hasEnded else { throw .malformed("the compressed bytes are cut short") }
        return output
    }

    /// Inflates a part of a message; true when it ends with a last block.
    private func inflate(
        _ part: Span<UInt8>, into output: inout Bytes, _ limit: Int
    ) throws(WireError) -> Bool {
        // What zlib is to forget: it must not look at memory that is not there any more.
        defer { unsafe (stream.pointee.next_in, stream.pointee.avail_in) = (nil, 0) }
        let result: Result<Bool, WireError> = unsafe part.withUnsafeBufferPointer { input in
            guard input.count <= Int(UInt32.max) else { return .failure(.tooLarge(limit: Int(UInt32.max))) }
            guard let start = input.baseAddress else { return .success(false) }
            unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: start)
            unsafe stream.pointee.avail_in = UInt32(input.count)
            return run(into: &output, max(0, limit))
        }
        return try result.get()
    }

    private enum Step { case goesOn, ended, starved, failed }

    /// Inflates until all input is taken and all output has come; whether the last of it was the end.
    private func run(into output: inout Bytes, _ limit: Int) -> Result<Bool, WireError> {
        while true {
            let step = step(into: &output, limit)
            if output.count > limit { return .failure(.tooLarge(limit: limit)) }
            switch step {
            case .goesOn: continue
            case .starved: return .success(false)
            case .failed: return .failure(.malformed("nothing that was compressed"))
            case .ended:
                let isWhole = unsafe stream.pointee.avail_in == 0
                guard format == .raw else {
                    return isWhole ? .success(true) : .failure(.malformed("something follows the compressed bytes"))
                }
                // Others may come behind a last block, in this message or the next, and refer to what was before.
                unsafe pomelo_inflate_next(stream)
                if isWhole { return .success(true) }
            }
        }
    }

    /// Inflates what fits one chunk; one byte beyond the limit shows that there is more.
    private func step(into output: inout Bytes, _ limit: Int) -> Step {
        grow(&output, limit)
        let room = min(output.capacity, limit) - output.count
        if room <= 0 { return probe(&output) }
        var step = Step.failed
        output.add(min(room, Self.chunk)) { free in
            unsafe free.withUnsafeMutableBufferPointer { buffer, count in
                let space = buffer.count - count
                unsafe stream.pointee.next_out = buffer.baseAddress.map { unsafe $0 + count }
                unsafe stream.pointee.avail_out = UInt32(space)
                step = advance()
                count += unsafe space - Int(stream.pointee.avail_out)
            }
        }
        return step
    }

    private func probe(_ output: inout Bytes) -> Step {
        var byte: UInt8 = 0
        let step = unsafe withUnsafeMutablePointer(to: &byte) { place in
            unsafe stream.pointee.next_out = place
            unsafe stream.pointee.avail_out = 1
            return advance()
        }
        if unsafe stream.pointee.avail_out == 0 { output.append(byte) }
        return step
    }

    private func advance() -> Step {
        let status = unsafe CZlib.inflate(stream, Z_SYNC_FLUSH)
        let isFull = unsafe stream.pointee.avail_out == 0
        if status == Z_STREAM_END { return .ended }
        if status == Z_OK { return isFull ? .goesOn : .starved }
        // No progress: nothing is left to read, and nothing to tell.
        return status == Z_BUF_ERROR ? .starved : .failed
    }

    /// Makes room by halves of what is there, so that copying costs little, and never for more than the limit.
    private func grow(_ output: inout Bytes, _ limit: Int) {
        guard output.count == output.capacity, output.count < limit else { return }
        output.reserveCapacity(min(limit, max(1024, output.count &* 2)))
    }
}
