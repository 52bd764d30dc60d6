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
        self.init(name, arguments: arguments.map(\.redisArgument))
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

    /// About what it takes until it is answered, in bytes: its texts, and 16 for the frame of each.
    var size: Int {
        arguments.reduce(name.utf8.count + 16) { sum, argument in
            switch argument {
            case .text(let text): sum + text.utf8.count + 16
            case .number: sum + 24
            case .bytes(let bytes): sum + bytes.count + 16
            }
        }
    }

    //  *<arguments + 1>\r\n   then, for the name and each argument:   $<bytes>\r\n<bytes>\r\n

    /// Appends the command as the server reads it.
    func encode(into output: inout [UInt8]) {
        Self.appendHeader(UInt8(ascii: "*"), arguments.count + 1, to: &output)
        Self.append(name, to: &output)
        for argument in arguments {
            switch argument {
            case .text(let text):
                Self.append(text, to: &output)
            case .number(let number):
                Self.append(String(number), to: &output)
            case .bytes(let bytes):
                Self.appendHeader(UInt8(ascii: "$"), bytes.count, to: &output)
                output.append(contentsOf: bytes)
                Self.endLine(&output)
            }
        }
    }

    private static func append(_ text: String, to output: inout [UInt8]) {
        let utf8 = text.utf8
        appendHeader(UInt8(ascii: "$"), utf8.count, to: &output)
        output.append(contentsOf: utf8)
        endLine(&output)
    }

    private static func appendHeader(_ mark: UInt8, _ count: Int, to output: inout [UInt8]) {
        output.append(mark)
        if count < 10 {
            output.append(UInt8(ascii: "0") + UInt8(count))
        } else {
            output.append(contentsOf: String(count).utf8)
        }
        endLine(&output)
    }

    private static func endLine(_ output: inout [UInt8]) {
        output.append(UInt8(ascii: "\r"))
        output.append(UInt8(ascii: "\n"))
    }
}

extension RedisCommand: CustomStringConvertible {
    /// The name and the number of arguments: values do not belong in logs.
    public var description: String { "\(name) (\(arguments.count) arguments)" }
}
