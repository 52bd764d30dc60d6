// SPDX-License-Identifier: MIT
import PomeloBytes

/// Reads the body of one request, of a stated length or in chunks.
struct HTTPBodyReader: Sendable {
    private enum State {
        /// So many bytes of a body of stated length are missing.
        case rest(Int)
        /// The line that states the size of a chunk.
        case size
        /// So many bytes of a chunk are missing.
        case chunk(Int)
        /// The line end behind a chunk.
        case chunkEnd
        /// A line behind the last chunk.
        case trailer
    }

    /// The longest line that states a size, in bytes: the number, and extensions that nobody sends.
    private static let maxSizeLine = 256
    /// The longest trailer, all lines together, in bytes.
    private static let maxTrailer = 4096

    private(set) var body: Bytes = []
    private var line: Bytes = []
    private var trailerBytes = 0
    private var state: State

    /// Nil when the head announces no body.
    init?(_ request: UpgradeRequest, limit: Int) throws(HTTPError) {
        let hosts = request.values("host").count
        guard hosts == 1 || (hosts == 0 && !request.isHTTP11) else { throw .badRequest("not one Host") }
        let expectations = request.values("expect")
        guard expectations.allSatisfy({ $0.lowercased() == "100-continue" }) else {
            throw HTTPError(status: 417, reason: "unknown expectation")
        }
        let (codings, lengths) = (request.values("transfer-encoding"), request.values("content-length"))
        if !codings.isEmpty {
            guard lengths.isEmpty else { throw .badRequest("two ways to state the length") }
            guard request.isHTTP11 else { throw .badRequest("transfer coding in HTTP/1.0") }
            guard codings.count == 1, codings.first?.lowercased() == "chunked" else {
                throw HTTPError(status: 501, reason: "transfer coding other than chunked")
            }
            state = .size
            return
        }
        guard let text = lengths.first else { return nil }
        guard lengths.count == 1 else { throw .badRequest("two content lengths") }
        let length = try Self.number(text.utf8, radix: 10)
        guard length <= limit else { throw .bodyTooLarge }
        if length == 0 { return nil }
        state = .rest(length)
    }

    /// The memory taken, in bytes.
    var heldBytes: Int { (body.isEmpty ? 0 : body.capacity) &+ (line.isEmpty ? 0 : line.capacity) }

    /// Reads on from `offset`; true when the body is complete.
    mutating func read(_ input: Span<UInt8>, _ offset: inout Int, limit: Int) throws(HTTPError) -> Bool {
        while true {
            switch state {
            case .rest(let count):
                let missing = take(count, input, &offset)
                state = .rest(missing)
                return missing == 0
            case .chunk(let count):
                let missing = take(count, input, &offset)
                state = missing == 0 ? .chunkEnd : .chunk(missing)
                if missing > 0 { return false }
            case .size:
                guard let line = try nextLine(input, &offset, limit: Self.maxSizeLine) else { return false }
                let digits = line.prefix { $0 != UInt8(ascii: ";") && $0 != 0x20 && $0 != 9 }
                let size = try Self.number(digits, radix: 16)
                guard size <= limit &- body.count else { throw .bodyTooLarge }
                state = size == 0 ? .trailer : .chunk(size)
            case .chunkEnd:
                guard let line = try nextLine(input, &offset, limit: 0) else { return false }
                guard line.isEmpty else { throw .badRequest("chunk longer than stated") }
                state = .size
            case .trailer:
                guard let line = try nextLine(input, &offset, limit: Self.maxTrailer &- trailerBytes) else {
                    return false
                }
                trailerBytes &+= line.count &+ 2
                if line.isEmpty { return true }
            }
        }
    }

    /// Takes up to `count` bytes of the body; returns how many are missing.
    private mutating func take(_ count: Int, _ input: Span<UInt8>, _ offset: inout Int) -> Int {
        let given = min(count, input.count &- offset)
        body.put(input.extracting(offset..<(offset &+ given)))
        offset &+= given
        return count &- given
    }

    /// The next line without its end, or nil while it is not complete.
    private mutating func nextLine(
        _ input: Span<UInt8>, _ offset: inout Int, limit: Int
    ) throws(HTTPError) -> Bytes? {
        while offset < input.count {
            let byte = input[offset]
            offset &+= 1
            if line.last == 13 {
                guard byte == 10 else { throw .badRequest("line does not end in CR LF") }
                line.removeLast()
                let whole = line
                line = []
                return whole
            }
            guard byte == 13 || (byte >= 0x20 && byte != 0x7F) || byte == 9 else {
                throw .badRequest("control character in a chunk")
            }
            guard byte == 13 || line.count < limit else { throw .badRequest("line of a chunk too long") }
            line.append(byte)
        }
        return nil
    }

    /// Digits and nothing else, without a sign; so many that they cannot overflow.
    private static func number(_ digits: some Collection<UInt8>, radix: Int) throws(HTTPError) -> Int {
        guard !digits.isEmpty, digits.count <= 15 else { throw .badRequest("length of no sensible size") }
        var value = 0
        for byte in digits {
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte &- UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f") where radix == 16: digit = byte &- UInt8(ascii: "a") &+ 10
            case UInt8(ascii: "A")...UInt8(ascii: "F") where radix == 16: digit = byte &- UInt8(ascii: "A") &+ 10
            default: throw .badRequest("length is no number")
            }
            value = value &* radix &+ Int(digit)
        }
        return value
    }
}
