// SPDX-License-Identifier: MIT

//  *<arguments + 1>\r\n   then, for the name and each argument:   $<bytes>\r\n<bytes>\r\n

// By spans: a loop over the arrays themselves would count references to each name and argument, which takes longer than
// copying their bytes.
extension RedisCommand {
    /// About what it takes until it is answered, in bytes, and at least what it takes on its way: its texts, and 16 for
    /// the frame of each.
    var size: Int {
        var sum = name.utf8.count + 16
        let arguments = arguments.span
        for index in arguments.indices {
            switch arguments[index] {
            case .text(let text): sum += text.utf8.count + 16
            case .number: sum += 28
            case .bytes(let bytes): sum += bytes.count + 16
            }
        }
        return sum
    }

    /// Gives `body` commands of a known size as the server reads them, one after the other.
    static func withEncoded<Result>(
        _ commands: [RedisCommand], size: Int, _ body: (UnsafeBufferPointer<UInt8>) -> Result
    ) -> Result {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: size + CommandWriter.slack) { buffer in
            var writer = unsafe CommandWriter(buffer)
            let commands = commands.span
            for index in commands.indices { writer.write(commands[index].name, commands[index].arguments.span) }
            return unsafe body(UnsafeBufferPointer(rebasing: buffer[..<writer.count]))
        }
    }
}

/// Writes commands into memory of a size that was computed before, and never beyond it.
@safe private struct CommandWriter {
    /// A header is no longer than this: a mark, 20 digits, the end of the line.
    static let slack = 24

    private let buffer: UnsafeMutableBufferPointer<UInt8>
    private(set) var count = 0

    init(_ buffer: UnsafeMutableBufferPointer<UInt8>) { unsafe self.buffer = buffer }

    mutating func write(_ name: String, _ arguments: Span<RedisArgument>) {
        header(UInt8(ascii: "*"), arguments.count + 1)
        write(name.utf8.span)
        for index in arguments.indices {
            switch arguments[index] {
            case .text(let text): write(text.utf8.span)
            case .number(let number): write(number)
            case .bytes(let bytes): write(bytes.span)
            }
        }
    }

    /// Most numbers are how many keys a script has.
    private mutating func write(_ number: Int) {
        guard (0..<10).contains(number) else { return write(String(number).utf8.span) }
        header(UInt8(ascii: "$"), 1)
        unsafe precondition(3 <= buffer.count - count, "a command longer than its size")
        append(UInt8(ascii: "0") + UInt8(number))
        endLine()
    }

    private mutating func write(_ bytes: Span<UInt8>) {
        header(UInt8(ascii: "$"), bytes.count)
        unsafe precondition(bytes.count + 2 <= buffer.count - count, "a command longer than its size")
        unsafe bytes.withUnsafeBufferPointer { source in
            guard let from = source.baseAddress, let to = unsafe buffer.baseAddress else { return }
            unsafe (to + count).update(from: from, count: source.count)
        }
        count += bytes.count
        endLine()
    }

    private mutating func header(_ mark: UInt8, _ number: Int) {
        unsafe precondition(Self.slack <= buffer.count - count, "a command longer than its size")
        append(mark)
        // Most have one digit or two, and divisions by what is not known take long.
        if number >= 100 { for digit in String(number).utf8.dropLast(2) { append(digit) } }
        if number >= 10 { append(UInt8(ascii: "0") + UInt8(number / 10 % 10)) }
        append(UInt8(ascii: "0") + UInt8(number % 10))
        endLine()
    }

    private mutating func endLine() {
        append(UInt8(ascii: "\r"))
        append(UInt8(ascii: "\n"))
    }

    /// Where it is known that there is room.
    private mutating func append(_ byte: UInt8) {
        unsafe buffer[count] = byte
        count += 1
    }
}
