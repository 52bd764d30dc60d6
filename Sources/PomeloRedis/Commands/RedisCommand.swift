// SPDX-License-Identifier: MIT
public import PomeloBytes

/// One argument of a command: text, a decimal number, or bytes as they are.
public enum RedisArgument: Sendable, Hashable {
    /// Sent as UTF-8.
    case text(String)
    /// Sent in decimal digits.
    case number(Int)
    /// Sent as they are.
    case bytes([UInt8])

    /// What the server receives.
    public var utf8: [UInt8] {
        switch self {
        case .text(let text): Array(text.utf8)
        case .number(let number): Array(String(number).utf8)
        case .bytes(let bytes): bytes
        }
    }
}

extension RedisArgument: ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral {
    /// Takes a literal for a text.
    public init(stringLiteral value: String) { self = .text(value) }
    /// Takes a literal for a number.
    public init(integerLiteral value: Int) { self = .number(value) }
}

/// What may stand as an argument of a command without further ceremony.
public protocol RedisArgumentConvertible {
    /// The argument that is sent.
    var redisArgument: RedisArgument { get }
}

extension RedisArgument: RedisArgumentConvertible {
    /// The argument itself.
    public var redisArgument: RedisArgument { self }
}

extension String: RedisArgumentConvertible {
    /// The text, sent as UTF-8.
    public var redisArgument: RedisArgument { .text(self) }
}

extension Text: RedisArgumentConvertible {
    /// The text, sent as UTF-8.
    public var redisArgument: RedisArgument { .text(string) }
}

extension Int: RedisArgumentConvertible {
    /// The number, sent in decimal digits.
    public var redisArgument: RedisArgument { .number(self) }
}

extension [UInt8]: RedisArgumentConvertible {
    /// The bytes, sent as they are.
    public var redisArgument: RedisArgument { .bytes(self) }
}

/// One command with its arguments, for instance `RedisCommand("SET", key, 5, "PX", 1000)`.
public struct RedisCommand: Sendable, Hashable {
    /// The command's name, for instance `HSET`.
    public let name: String
    /// Everything after the name.
    public let arguments: [RedisArgument]
    /// Which of the arguments are keys, for a command that is not one of Redis itself; nil: as its name says.
    let keyPositions: [Int]?

    /// A command whose arguments are text, numbers or bytes.
    public init(_ name: String, _ arguments: any RedisArgumentConvertible...) {
        let given = arguments.span
        var arguments: [RedisArgument] = []
        arguments.reserveCapacity(given.count)
        for index in given.indices { arguments.append(given[index].redisArgument) }
        self.init(name, arguments: arguments)
    }

    /// A command whose arguments were collected before.
    ///
    /// `keyPositions` says which of them are keys, from 0; only a command of a module, or a later Redis, needs it.
    public init(_ name: String, arguments: [RedisArgument], keyPositions: [Int]? = nil) {
        self.name = name
        self.arguments = arguments
        self.keyPositions = keyPositions
    }

    /// The command followed by one argument per text, for instance the members of one SADD.
    public func appending(_ texts: some Sequence<String>) -> RedisCommand {
        RedisCommand(name, arguments: arguments + texts.map(RedisArgument.text), keyPositions: keyPositions)
    }
}

extension RedisCommand: CustomStringConvertible {
    /// The name and the number of arguments: values do not belong in logs.
    public var description: String { "\(name) (\(arguments.count) arguments)" }
}
