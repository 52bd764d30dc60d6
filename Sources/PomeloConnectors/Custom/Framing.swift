// SPDX-License-Identifier: MIT
import PomeloBytes

/// How messages of a codec lie one behind the other in a stream of bytes; over WebSocket they have frames already.
public enum Framing: Sendable, Equatable {
    /// Each ends with a newline, which none may contain; empty lines and a `\r` before the newline are left out.
    case lines
    /// Each begins with its length in so many bytes, 1 to 4, the highest first.
    case lengthPrefixed(bytes: Int)

    /// A message that cannot travel so: a line with a newline in it, more bytes than the length can say.
    struct Unfit: Error {}

    /// Whether a message can travel.
    func fits(_ message: Bytes) -> Bool {
        switch self {
        case .lines: !message.contains(UInt8(ascii: "\n"))
        case .lengthPrefixed(let width): message.count >> (8 * width) == 0
        }
    }

    /// - Throws: ``Unfit``.
    func check(_ message: Bytes) throws(Unfit) {
        if !fits(message) { throw Unfit() }
    }

    private static let newline = [UInt8(ascii: "\n")]

    /// What stands before and behind a message that was checked.
    func ends(of message: Bytes) -> (head: Bytes, tail: Bytes) {
        switch self {
        case .lines: ([], Self.newline)
        case .lengthPrefixed(let width):
            ((0..<width).map { UInt8(truncatingIfNeeded: message.count >> (8 * (width - 1 - $0))) }, [])
        }
    }
}

/// Cuts a stream of bytes into messages; keeps one that is half read.
struct FrameSplitter {
    private let framing: Framing
    /// A longer message is refused before it has arrived.
    var maxBytes: Int
    private var rest: Bytes = []
    /// Of `lengthPrefixed`: what is known of the length, and how many bytes of it are to come.
    private var length = 0
    private var widthLeft: Int

    init(_ framing: Framing, maxBytes: Int) {
        self.framing = framing
        self.maxBytes = maxBytes
        widthLeft = Self.width(framing)
    }

    /// The memory that it takes, in bytes.
    var heldBytes: Int { rest.capacity }

    private static func width(_ framing: Framing) -> Int {
        if case .lengthPrefixed(let width) = framing { width } else { 0 }
    }

    /// Calls `each` for every whole message until that says false; returns how many bytes were taken.
    ///
    /// - Throws: `WireError` `.tooLarge`; then it is of no more use.
    mutating func split(
        _ bytes: borrowing Span<UInt8>, _ each: (Bytes) -> Bool
    ) throws(WireError) -> Int {
        var place = 0
        while place < bytes.count {
            let byte = bytes[place]
            place += 1
            guard try take(byte) else { continue }
            let message = rest
            rest = []
            if !each(message) { break }
        }
        return place
    }

    /// True when the message is whole.
    private mutating func take(_ byte: UInt8) throws(WireError) -> Bool {
        switch framing {
        case .lines:
            if byte == UInt8(ascii: "\n") {
                if rest.last == UInt8(ascii: "\r") { rest.removeLast() }
                return !rest.isEmpty
            }
        case .lengthPrefixed:
            if widthLeft > 0 {
                length = length << 8 | Int(byte)
                widthLeft -= 1
                if length > maxBytes { throw .tooLarge(limit: maxBytes) }
                return widthLeft == 0 && length == 0 ? whole() : false
            }
        }
        guard rest.count < maxBytes else { throw .tooLarge(limit: maxBytes) }
        rest.append(byte)
        if case .lengthPrefixed = framing { return rest.count == length ? whole() : false }
        return false
    }

    private mutating func whole() -> Bool {
        length = 0
        widthLeft = Self.width(framing)
        return true
    }
}
