// SPDX-License-Identifier: MIT
#if Keel
    import AsyncHTTPClient
    import NIOCore
    import NIOHTTP1
    import PomeloPlugins

    /// The part of an exchange that somebody else answers: both bodies flow through, each as fast as it is taken.
    final class Forwarding: UpstreamReader, @unchecked Sendable {
        // SAFETY: touched on NIO's thread alone.
        /// Between two attempts.
        private static let pause = Duration.seconds(1)

        private let forward: PluginForward
        private weak var exchange: Exchange?
        private let deadline: NIODeadline
        private var attemptsLeft: Int
        private(set) var call: UpstreamCall?
        private var retry: Scheduled<Void>?
        private var isOpen = true

        // The request's body.
        private var writer: HTTPClient.Body.StreamWriter?
        private var bodyEnd: EventLoopPromise<Void>?
        private(set) var wantsBody = false
        private var sentBytes = 0
        private var isSent: Bool

        // The answer.
        private var status: Int?
        private var length: Int?
        private var receivedBytes = 0
        private var room: EventLoopPromise<Void>?

        init(_ forward: PluginForward, _ exchange: Exchange) {
            self.forward = forward
            self.exchange = exchange
            attemptsLeft = max(1, forward.attempts)
            deadline = KeelThread.deadline(after: forward.deadline)
            isSent = exchange.bodyLength == 0
        }

        // MARK: the request

        func begin() {
            if let length = exchange?.bodyLength, length > forward.requestLimit { return fail(.requestTooLarge) }
            attempt()
        }

        private func attempt() {
            guard let exchange, isOpen else { return }
            attemptsLeft -= 1
            do throws(UpstreamFailure) {
                let request = try UpstreamPool.request(
                    forward.base, forward.method, forward.path, forward.headers, .flowing(length: exchange.bodyLength)
                ) { [weak self] writer, end in
                    if let self { upstreamTakes(writer, end) } else { end.fail(ChannelError.eof) }
                }
                let call = exchange.share.pool.send(request, until: deadline, to: self)
                // It may have ended within that call.
                if isOpen { self.call = call } else { call.cancel() }
            } catch {
                upstreamEnded(error)
            }
        }

        func upstreamTakes(_ writer: HTTPClient.Body.StreamWriter, _ end: EventLoopPromise<Void>) {
            guard isOpen else { return end.fail(ChannelError.eof) }
            self.writer = writer
            bodyEnd = end
            wantMore()
        }

        private func wantMore() {
            wantsBody = true
            exchange?.connection?.askForBody()
            exchange?.connection?.take()
        }

        func received(_ bytes: ByteBuffer) {
            wantsBody = false
            sentBytes += bytes.readableBytes
            guard sentBytes <= forward.requestLimit else { return fail(.requestTooLarge) }
            writer?.write(.byteBuffer(bytes)).whenSuccess { [weak self] in
                if let self, isOpen { wantMore() }
            }
        }

        func receivedAll() {
            (isSent, wantsBody, writer) = (true, false, nil)
            bodyEnd?.succeed()
            bodyEnd = nil
        }

        // MARK: the answer

        func upstreamBegan(_ head: HTTPResponseHead) -> Bool {
            guard let connection = exchange?.connection else { return false }
            length = head.bodyLength(of: forward.method)
            if let length, length > forward.responseLimit {
                fail(.responseTooLarge)
                return false
            }
            status = Int(head.status.code)
            connection.beginAnswer(Int(head.status.code), head.headers.plugin)
            connection.flush()
            // REENTRANCY: to write may be to learn that the caller has gone away.
            return isOpen && goesOn
        }

        func upstreamSent(_ bytes: ByteBuffer) -> EventLoopFuture<Void>? {
            guard let connection = exchange?.connection else { return nil }
            receivedBytes += bytes.readableBytes
            guard receivedBytes <= forward.responseLimit else {
                fail(.responseTooLarge)
                return nil
            }
            connection.send(bytes)
            // REENTRANCY: as above.
            guard isOpen, goesOn else { return nil }
            if connection.hasRoom { return KeelThread.loop.makeSucceededVoidFuture() }
            let room = KeelThread.loop.makePromise(of: Void.self)
            self.room = room
            return room.futureResult
        }

        /// False when the answer is whole before the request is: then nobody wants the rest of the request, and the
        /// connection to the plugin is given up.
        private var goesOn: Bool {
            if isSent || receivedBytes != length { return true }
            finish()
            return false
        }

        func roomCame() {
            let room = room
            self.room = nil
            room?.succeed()
        }

        func upstreamEnded(_ failure: UpstreamFailure?) {
            switch failure {
            case nil: finish()
            case .unreachable(let why): tryAgain(or: .unreachable(why))
            case .unsendable(let why): fail(.unreachable(why))
            case .broken(let why), .malformed(let why): fail(.broken(why))
            case .timedOut: fail(.timedOut)
            }
        }

        private func tryAgain(or outcome: PluginOutcome) {
            call = nil
            let next = KeelThread.deadline(after: Self.pause)
            guard attemptsLeft > 0, next < deadline, bodyEnd == nil else { return fail(outcome) }
            retry = KeelThread.loop.scheduleTask(deadline: next) { [weak self] in self?.attempt() }
        }

        // MARK: the end

        private func finish() {
            guard let status, isOpen else { return }
            close()
            tell(.answered(status: status))
            exchange?.finish()
        }

        private func fail(_ outcome: PluginOutcome) {
            guard isOpen else { return }
            close()
            if status == nil, let exchange {
                exchange.fail(outcome, of: forward)
            } else {
                tell(outcome)
                exchange?.cut()
            }
        }

        /// The caller has gone away.
        func abandon() {
            guard isOpen else { return }
            close()
            tell(.abandoned)
        }

        private func tell(_ outcome: PluginOutcome) {
            let finished = forward.finished
            KeelThread.onLoop { finished(outcome) }
        }

        private func close() {
            isOpen = false
            (wantsBody, writer) = (false, nil)
            retry?.cancel()
            call?.cancel()
            call = nil
            bodyEnd?.fail(ChannelError.eof)
            bodyEnd = nil
            room?.fail(ChannelError.eof)
            room = nil
        }
    }
#endif
