// SPDX-License-Identifier: MIT
import NIOCore
import NIOPosix

/// One reply of the server.
enum Value: Sendable {
    case status(String)
    case error(String)
    case integer(Int)
    case bulk(ByteBuffer?)
    case array([Value])

    var text: String {
        switch self {
        case .status(let text), .error(let text): text
        case .integer(let number): String(number)
        case .bulk(let buffer): buffer.map { String(buffer: $0) } ?? ""
        case .array: ""
        }
    }
}

/// Reads one reply after the other from the bytes received.
struct ValueDecoder: ByteToMessageDecoder {
    typealias InboundOut = Value

    mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        var copy = buffer
        guard let value = try Self.value(&copy) else { return .needMoreData }
        buffer = copy
        context.fireChannelRead(wrapInboundOut(value))
        return .continue
    }

    mutating func decodeLast(
        context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
    ) throws -> DecodingState { try decode(context: context, buffer: &buffer) }

    /// Nil when it is not all there.
    private static func value(_ buffer: inout ByteBuffer) throws -> Value? {
        guard let mark = buffer.readInteger(as: UInt8.self) else { return nil }
        guard let end = buffer.readableBytesView.firstIndex(of: UInt8(ascii: "\r")) else { return nil }
        let length = end - buffer.readerIndex
        guard buffer.readableBytes >= length + 2 else { return nil }
        switch mark {
        case UInt8(ascii: "+"), UInt8(ascii: "-"):
            let text = buffer.readString(length: length) ?? ""
            buffer.moveReaderIndex(forwardBy: 2)
            return mark == UInt8(ascii: "+") ? .status(text) : .error(text)
        case UInt8(ascii: ":"), UInt8(ascii: "$"), UInt8(ascii: "*"):
            let number = try number(buffer.readableBytesView.prefix(length))
            buffer.moveReaderIndex(forwardBy: length + 2)
            if mark == UInt8(ascii: ":") { return .integer(number) }
            if number < 0 { return .bulk(nil) }
            if mark == UInt8(ascii: "$") {
                guard buffer.readableBytes >= number + 2, let bytes = buffer.readSlice(length: number) else {
                    return nil
                }
                buffer.moveReaderIndex(forwardBy: 2)
                return .bulk(bytes)
            }
            var values: [Value] = []
            for _ in 0..<number {
                guard let value = try value(&buffer) else { return nil }
                values.append(value)
            }
            return .array(values)
        default:
            throw Usage(description: "not RESP")
        }
    }

    private static func number(_ digits: ByteBufferView.SubSequence) throws -> Int {
        var number = 0
        var isNegative = false
        for byte in digits {
            if byte == UInt8(ascii: "-") {
                isNegative = true
            } else if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
                number = number * 10 + Int(byte - UInt8(ascii: "0"))
            } else {
                throw Usage(description: "not a number")
            }
        }
        return isNegative ? -number : number
    }
}

/// Commands and who waits for their replies.
struct Batch {
    var commands: [[String]]
    var promises: [EventLoopPromise<Value>]
}

/// Writes batches, and gives replies to those who wait, in order.
final class Dispatcher: ChannelDuplexHandler {
    typealias InboundIn = Value
    typealias OutboundIn = Batch
    typealias OutboundOut = ByteBuffer

    private var waiting = CircularBuffer<EventLoopPromise<Value>>()

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let batch = unwrapOutboundIn(data)
        var buffer = context.channel.allocator.buffer(capacity: 64 * batch.commands.count)
        for command in batch.commands {
            Self.write("*", command.count, to: &buffer)
            for word in command {
                Self.write("$", word.utf8.count, to: &buffer)
                buffer.writeString(word)
                buffer.writeStaticString("\r\n")
            }
        }
        waiting.append(contentsOf: batch.promises)
        context.write(wrapOutboundOut(buffer), promise: promise)
    }

    private static func write(_ mark: StaticString, _ number: Int, to buffer: inout ByteBuffer) {
        buffer.writeStaticString(mark)
        buffer.writeString(String(number))
        buffer.writeStaticString("\r\n")
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        waiting.popFirst()?.succeed(unwrapInboundIn(data))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        for promise in waiting { promise.fail(error) }
        waiting.removeAll()
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        for promise in waiting { promise.fail(ChannelError.ioOnClosedChannel) }
        waiting.removeAll()
    }
}

/// One connection.
struct Client: Sendable {
    private let channel: any Channel

    static func connect(_ group: any EventLoopGroup, _ port: Int) async throws -> Client {
        let channel = try await ClientBootstrap(group: group)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        ByteToMessageHandler(ValueDecoder()), Dispatcher(),
                    ])
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        return Client(channel: channel)
    }

    private init(channel: any Channel) { self.channel = channel }

    func send(_ command: [String]) async throws -> Value {
        let promise = channel.eventLoop.makePromise(of: Value.self)
        channel.writeAndFlush(Batch(commands: [command], promises: [promise]), promise: nil)
        return try await promise.futureResult.get()
    }

    func pipeline(_ commands: [[String]]) async throws -> [Value] {
        let promises = commands.map { _ in channel.eventLoop.makePromise(of: Value.self) }
        channel.writeAndFlush(Batch(commands: commands, promises: promises), promise: nil)
        return try await EventLoopFuture.whenAllSucceed(promises.map(\.futureResult), on: channel.eventLoop).get()
    }
}
