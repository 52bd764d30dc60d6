// SPDX-License-Identifier: MIT
public import PomeloBytes

/// Writes the arguments of a system procedure.
///
/// ```
/// text, bytes: u32 length | bytes      number: u64      list: u32 count | items       (big-endian)
/// ```
public struct PayloadWriter: Sendable {
    /// What was written so far.
    public private(set) var bytes: Bytes = []

    /// An empty payload, with room for so many bytes.
    public init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    /// Appends a number of eight bytes.
    public mutating func number(_ value: UInt64) {
        bytes.add(8) { output in output.putBigEndian(value) }
    }

    /// Appends a count of four bytes; what does not fit is clamped.
    public mutating func count(_ value: Int) {
        bytes.add(4) { output in output.putBigEndian(UInt32(clamping: value)) }
    }

    /// Appends a text, as UTF-8 with its length.
    public mutating func text(_ value: String) {
        count(value.utf8.count)
        bytes.put(value.utf8Span.span)
    }

    /// Appends bytes with their length.
    public mutating func data(_ value: Bytes) {
        count(value.count)
        bytes.append(contentsOf: value)
    }

    /// What is left to the end of the payload needs no length.
    public mutating func rest(_ value: Bytes) { bytes.append(contentsOf: value) }

    /// Appends a list of texts with their number.
    public mutating func texts<Names: Collection<String>>(_ values: Names) {
        count(values.count)
        for value in values { text(value) }
    }
}

/// Reads what `PayloadWriter` wrote; every read is checked.
public struct PayloadReader: Sendable {
    private let bytes: Bytes
    private var next = 0

    /// Reads from the first byte.
    public init(_ bytes: Bytes) { self.bytes = bytes }

    @discardableResult
    private mutating func take(_ count: Int) throws(PomeloError) -> ArraySlice<UInt8> {
        guard count <= bytes.count - next else {
            throw PomeloError(.encoding, "a payload of \(bytes.count) bytes ends too early")
        }
        defer { next += count }
        return bytes[next..<(next + count)]
    }

    /// The next eight bytes as a number.
    ///
    /// - Throws: `PomeloError` `.encoding` when the payload ends too early.
    public mutating func number() throws(PomeloError) -> UInt64 {
        try take(8)
        return bytes.span.bigEndian(UInt64.self, at: next - 8)
    }

    /// The next four bytes as a count.
    ///
    /// - Throws: `PomeloError` `.encoding` when the payload ends too early.
    public mutating func count() throws(PomeloError) -> Int {
        try take(4)
        return Int(bytes.span.bigEndian(UInt32.self, at: next - 4))
    }

    /// The next text; bytes that are no UTF-8 are replaced.
    ///
    /// - Throws: `PomeloError` `.encoding` when the payload ends too early.
    public mutating func text() throws(PomeloError) -> String {
        String(decoding: try take(try count()), as: UTF8.self)
    }

    /// The next text, as its bytes.
    package mutating func textBytes() throws(PomeloError) -> ArraySlice<UInt8> { try take(try count()) }

    /// The next bytes that have a length.
    ///
    /// - Throws: `PomeloError` `.encoding` when the payload ends too early.
    public mutating func data() throws(PomeloError) -> Bytes { Array(try take(try count())) }

    /// Everything not read yet, which may be nothing.
    public mutating func rest() throws(PomeloError) -> Bytes { Array(try take(bytes.count - next)) }

    /// The next list of texts.
    ///
    /// - Throws: `PomeloError` `.encoding` when the payload ends too early.
    public mutating func texts() throws(PomeloError) -> [String] {
        try list { reader throws(PomeloError) in try reader.text() }
    }

    /// The next list, of items that `read` takes; each has four bytes at least.
    ///
    /// - Throws: `PomeloError` `.encoding` for a count that the payload cannot hold; what `read` throws.
    public mutating func list<Item>(
        _ read: (inout PayloadReader) throws(PomeloError) -> Item
    ) throws(PomeloError) -> [Item] {
        let count = try count()
        guard count <= (bytes.count - next) / 4 else {
            throw PomeloError(.encoding, "a payload of \(bytes.count) bytes has no \(count) items")
        }
        var result: [Item] = []
        result.reserveCapacity(count)
        for _ in 0..<count { result.append(try read(&self)) }
        return result
    }
}
