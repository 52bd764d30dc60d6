// SPDX-License-Identifier: MIT
#if Keel
    import AsyncHTTPClient
    import NIOCore
    import NIOHTTP1
    import PomeloBytes

    /// Who is told what a plugin answers, on NIO's thread.
    protocol UpstreamReader: AnyObject {
        /// The plugin is connected, and wants the body; only when the request has one that flows.
        func upstreamTakes(_ writer: HTTPClient.Body.StreamWriter, _ end: EventLoopPromise<Void>)
        /// The head of the answer; false ends the call.
        func upstreamBegan(_ head: HTTPResponseHead) -> Bool
        /// A part of the body; the next one comes when the future is there. Nil ends the call.
        func upstreamSent(_ bytes: ByteBuffer) -> EventLoopFuture<Void>?
        /// The end: nil when the whole answer has come. Told once, and nothing after it; not after `cancel`.
        func upstreamEnded(_ failure: UpstreamFailure?)
    }

    /// Why there is no answer, or not all of it.
    enum UpstreamFailure: Error {
        /// No byte has left.
        case unreachable(String)
        /// No byte has left, nor would another time.
        case unsendable(String)
        case broken(String)
        case malformed(String)
        case timedOut
    }

    /// One request to a plugin over one connection; ends once, whatever the plugin does.
    ///
    /// It is told by futures and not awaited: the client's own tasks would run on the loop, and move bytes there.
    final class UpstreamCall: HTTPClientResponseDelegate, @unchecked Sendable {
        // SAFETY: touched on NIO's thread alone.
        private var reader: (any UpstreamReader)?
        private var task: HTTPClient.Task<Void>?
        private var timer: Scheduled<Void>?
        /// The request's head has left: the plugin may do something.
        private var isSent = false

        init(_ reader: any UpstreamReader) { self.reader = reader }

        func start(_ request: HTTPClient.Request, on client: HTTPClient, until deadline: NIODeadline) {
            timer = KeelThread.loop.scheduleTask(deadline: deadline) { self.end(.timedOut, cancels: true) }
            // Its connection is on the same thread: there is no other. To ask for that costs a new one each time.
            task = client.execute(request: request, delegate: self, eventLoop: .delegate(on: KeelThread.loop))
            // It may have failed before there was a task.
            if reader == nil { abort() }
        }

        /// Ends it without a word to the reader; the connection is closed.
        func cancel() {
            guard reader != nil else { return }
            close()
            abort()
        }

        private func end(_ failure: UpstreamFailure?, cancels: Bool = false) {
            guard let reader else { return }
            close()
            if cancels { abort() }
            reader.upstreamEnded(failure)
        }

        private func close() {
            KeelThread.loop.assertInEventLoop()
            reader = nil
            timer?.cancel()
            timer = nil
        }

        /// In a later turn: the client may be in the middle of a call to us.
        private func abort() {
            guard let task else { return }
            self.task = nil
            KeelThread.run { task.cancel() }
        }

        // MARK: what the client tells

        func didSendRequestHead(task: HTTPClient.Task<Void>, _ head: HTTPRequestHead) { isSent = true }

        func didReceiveHead(task: HTTPClient.Task<Void>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
            guard let reader else { return refusal(task) }
            guard head.status.code >= 200, head.status.code < 600 else {
                end(.malformed("status \(head.status.code)"))
                return refusal(task)
            }
            guard reader.upstreamBegan(head) else { return stop(task) }
            return task.eventLoop.makeSucceededVoidFuture()
        }

        func didReceiveBodyPart(task: HTTPClient.Task<Void>, _ buffer: ByteBuffer) -> EventLoopFuture<Void> {
            guard let reader else { return refusal(task) }
            return reader.upstreamSent(buffer) ?? stop(task)
        }

        func didReceiveError(task: HTTPClient.Task<Void>, _ error: any Error) { end(failure(of: error)) }

        func didFinishRequest(task: HTTPClient.Task<Void>) throws { end(nil) }

        private func stop(_ task: HTTPClient.Task<Void>) -> EventLoopFuture<Void> {
            close()
            return refusal(task)
        }

        private func refusal(_ task: HTTPClient.Task<Void>) -> EventLoopFuture<Void> {
            task.eventLoop.makeFailedFuture(HTTPClientError.cancelled)
        }

        private func failure(of error: any Error) -> UpstreamFailure {
            let words = "\(error)".escapedForLog(maxBytes: 200)
            if isSent {
                if let error = error as? HTTPParserError, error != .invalidEOFState { return .malformed(words) }
                return .broken(words)
            }
            let isFinal = [.alreadyShutdown, .traceRequestWithBody].contains(error as? HTTPClientError)
            return isFinal ? .unsendable(words) : .unreachable(words)
        }
    }
#endif
