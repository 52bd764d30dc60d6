// SPDX-License-Identifier: MIT
#if Keel
    import HummingbirdCore
    import Logging
    import NIOCore
    import NIOHTTP1

    /// What the connections of a server share.
    final class ServerShare: @unchecked Sendable {
        // SAFETY: touched on NIO's thread alone, but for what never changes.
        /// Nil when the server has stopped: the desk may be who holds the server.
        private(set) var desk: (any KeelDesk)?
        let options: KeelServerOptions
        let pool: UpstreamPool
        let check: RequestCheck
        private(set) var connections: [ObjectIdentifier: KeelConnection] = [:]
        /// Requests in progress.
        var requests = 0

        init(_ desk: any KeelDesk, _ options: KeelServerOptions, _ pool: UpstreamPool) {
            self.desk = desk
            self.options = options
            self.pool = pool
            check = RequestCheck(options: options)
        }

        func opened(_ connection: KeelConnection) { connections[ObjectIdentifier(connection)] = connection }
        func closed(_ connection: KeelConnection) { connections[ObjectIdentifier(connection)] = nil }

        /// Whether there is room for one more request; it takes it.
        func enter() -> Bool {
            KeelThread.loop.assertInEventLoop()
            guard requests < options.requests else { return false }
            requests += 1
            return true
        }

        func leave() {
            KeelThread.loop.assertInEventLoop()
            requests -= 1
        }

        func stopped() { desk = nil }

        /// Ends all connections in the middle of what they are doing.
        func cut() { for connection in connections.values { connection.cut() } }
    }

    /// How Hummingbird makes a connection of this server.
    ///
    /// Its own channel has no bounds for targets, slow heads and requests in progress, and does not keep headers as
    /// they are; so the bytes are read and written by one handler, and Hummingbird accepts, counts and closes.
    struct KeelChannel: ServerChildChannel {
        struct Value: ServerChildChannelValue {
            let channel: any Channel
        }

        let share: ServerShare

        func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
            channel.eventLoop.makeCompletedFuture {
                // A connection reads when it can use what comes; a caller that ends its side has gone away.
                try channel.syncOptions?.setOption(.autoRead, value: false)
                try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: false)
                let connection = KeelConnection(share)
                var encoding = HTTPResponseEncoder.Configuration()
                encoding.automaticallySetFramingHeaders = false
                let decoder = HTTPRequestDecoder(
                    leftOverBytesStrategy: .dropBytes, limitConfiguration: share.check.decoderLimits)
                let pipeline = channel.pipeline.syncOperations
                try pipeline.addHandler(HTTPResponseEncoder(configuration: encoding))
                try pipeline.addHandler(FirstByte(connection))
                try pipeline.addHandler(ByteToMessageHandler(decoder))
                try pipeline.addHandler(connection)
                return Value(channel: channel)
            }
        }

        func handle(value: Value, logger: Logger) async {
            do { try await value.channel.closeFuture.get() } catch { logger.debug("closed: \(error)") }
        }
    }

    /// Tells a connection that bytes have come, which may not be a whole head for long.
    private final class FirstByte: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let connection: KeelConnection

        init(_ connection: KeelConnection) { self.connection = connection }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            connection.bytesCame()
            context.fireChannelRead(data)
        }
    }
#endif
