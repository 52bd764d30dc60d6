// SPDX-License-Identifier: MIT
#if Keel
    import NIOCore
    import NIOHTTP1

    /// Ends an answer whose status is none, before the client sees it.
    ///
    /// The parser takes 000 to 099 for statuses, with bodies; the client takes all below 200 for heads that come before
    /// the answer's, and traps at the body.
    final class StatusGuard: ChannelInboundHandler {
        typealias InboundIn = HTTPClientResponsePart
        private var isBroken = false

        /// Behind the parser of a connection.
        static func stand(in channel: any Channel) throws {
            let pipeline = channel.pipeline.syncOperations
            let parser = try pipeline.handler(type: ByteToMessageHandler<HTTPResponseDecoder>.self)
            try pipeline.addHandler(StatusGuard(), position: .after(parser))
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            if isBroken { return }
            guard case .head(let head) = unwrapInboundIn(data), head.status.code < 100 else {
                return context.fireChannelRead(data)
            }
            isBroken = true
            context.fireErrorCaught(HTTPParserError.invalidStatus)
            context.close(promise: nil)
        }
    }
#endif
