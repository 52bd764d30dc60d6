// SPDX-License-Identifier: MIT
public import PomeloBytes

/// One reply of the server.
///
/// - Source: the RESP2 protocol, https://redis.io/docs/latest/develop/reference/protocol-spec/.
public enum RedisReply: Sendable, Hashable {
    case status(String)
    case bulk([UInt8])
    case integer(Int64)
    case array([RedisReply])
    case null
    case error(String)

    /// A bulk reply of text.
    public static func text(_ text: String) -> RedisReply { .bulk(Array(text.utf8)) }

    /// The text of a status or bulk reply, and of an integer; malformed UTF-8 is repaired.
    public var string: String? {
        switch self {
        case .status(let text): text
        case .bulk(let bytes): String(decoding: bytes, as: UTF8.self)
        case .integer(let number): String(number)
        case .array, .null, .error: nil
        }
    }

    /// The bytes of a bulk reply.
    public var bytes: [UInt8]? {
        if case .bulk(let bytes) = self { bytes } else { nil }
    }

    /// An integer reply, or a bulk reply of decimal digits.
    public var int: Int? {
        switch self {
        case .integer(let number): Int(exactly: number)
        case .bulk, .status: string.flatMap { Int($0) }
        case .array, .null, .error: nil
        }
    }

    /// The elements of an array reply.
    public var array: [RedisReply]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    /// An array reply as texts; `nil` when it is no array, or an element is no text.
    public var strings: [String]? {
        guard let array else { return nil }
        let texts = array.compactMap(\.string)
        return texts.count == array.count ? texts : nil
    }

    /// An array of alternating fields and values, as HGETALL answers; of equal fields the last one counts.
    public var dictionary: [Text: String]? {
        guard let strings, strings.count.isMultiple(of: 2) else { return nil }
        var result: [Text: String] = [:]
        for index in stride(from: 0, to: strings.count, by: 2) { result[Text(strings[index])] = strings[index + 1] }
        return result
    }

    /// The server's text when this is an error reply.
    public var errorText: String? {
        if case .error(let text) = self { text } else { nil }
    }

    /// Whether this is an error reply; the question is asked of every reply.
    var isError: Bool {
        if case .error = self { true } else { false }
    }

    /// The code of an error reply, for instance `WRONGTYPE`; of an error that a script ran into, that error's.
    ///
    /// Redis before 7 wraps it: `ERR Error running script (call to f_…): @user_script:1: @user_script: 1: -READONLY …`.
    public var errorCode: String? { errorText.map(RedisError.code) }

    /// Whether this is the null reply: a missing key, field or member.
    public var isNull: Bool { self == .null }

    /// This reply, or its error thrown.
    public func get() throws(RedisError) -> RedisReply {
        if case .error(let text) = self { throw .reply(text) }
        return self
    }
}
