// SPDX-License-Identifier: MIT
import PomeloRedis

/// RESP2 as its specification has it, in the plainest way.
enum PlainReply {
    static func bytes(_ reply: RedisReply) -> [UInt8] {
        switch reply {
        case .null: Array("$-1\r\n".utf8)
        case .status(let text): Array("+\(text)\r\n".utf8)
        case .error(let text): Array("-\(text)\r\n".utf8)
        case .integer(let number): Array(":\(number)\r\n".utf8)
        case .bulk(let bytes): Array("$\(bytes.count)\r\n".utf8) + bytes + Array("\r\n".utf8)
        case .array(let elements): Array("*\(elements.count)\r\n".utf8) + elements.flatMap(self.bytes)
        }
    }

    /// All whole replies, and whether what follows them can never become one.
    static func read(_ bytes: [UInt8]) -> (replies: [RedisReply], isBroken: Bool) {
        var rest = bytes[...]
        var replies: [RedisReply] = []
        do {
            while let reply = try next(&rest) { replies.append(reply) }
        } catch {
            return (replies, true)
        }
        return (replies, false)
    }

    private struct Broken: Error {}

    private static func next(_ rest: inout ArraySlice<UInt8>) throws -> RedisReply? {
        guard let kind = rest.first else { return nil }
        guard "+-:$*".utf8.contains(kind) else { throw Broken() }
        guard let end = zip(rest.indices, rest.indices.dropFirst()).first(where: { rest[$0] == 13 && rest[$1] == 10 })
        else { return nil }
        let line = rest[(rest.startIndex + 1)..<end.0]
        var after = rest[(end.1 + 1)...]
        let text = String(decoding: line, as: UTF8.self)
        switch kind {
        case UInt8(ascii: "+"):
            (rest, after) = (after, [])
            return .status(text)
        case UInt8(ascii: "-"):
            (rest, after) = (after, [])
            return .error(text)
        case UInt8(ascii: ":"):
            guard let number = Int64(text) else { throw Broken() }
            rest = after
            return .integer(number)
        case UInt8(ascii: "$"):
            guard let count = Int(text), count >= -1 else { throw Broken() }
            if count == -1 {
                rest = after
                return .null
            }
            guard after.count - 2 >= count else { return nil }
            let value = Array(after.prefix(count))
            rest = after.dropFirst(count + 2)
            return .bulk(value)
        default:
            guard let count = Int(text), count >= -1 else { throw Broken() }
            if count == -1 {
                rest = after
                return .null
            }
            var elements: [RedisReply] = []
            while elements.count < count {
                guard let element = try next(&after) else { return nil }
                elements.append(element)
            }
            rest = after
            return .array(elements)
        }
    }
}
