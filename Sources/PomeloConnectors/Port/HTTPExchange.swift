// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// Who answers a request; told what becomes of it.
@Loop protocol HTTPExchangeOwner: AnyObject {
    /// The whole body has arrived.
    func bodyArrived(_ body: Bytes, of exchange: HTTPExchange)
    /// The answer has been handed to the kernel.
    func answerWritten(_ exchange: HTTPExchange)
    /// The connection ended before that.
    func connectionEnded(_ exchange: HTTPExchange)
    /// More was sent behind the request, which is not read before the answer: nor is the end of the connection.
    func moreWaits(behind exchange: HTTPExchange)
}

/// One request over a connection that may bring more of them, and its answer.
@Loop final class HTTPExchange {
    let connection: StreamConnection
    let request: UpgradeRequest
    /// Whether a body is still to come.
    fileprivate(set) var awaitsBody: Bool
    /// Set by who takes it on; nil when it was answered at once.
    weak var owner: (any HTTPExchangeOwner)?
    fileprivate(set) var isAnswered = false
    /// Whether more was sent behind it.
    private(set) var isFollowed = false

    fileprivate init(_ connection: StreamConnection, _ request: UpgradeRequest, awaitsBody: Bool) {
        self.connection = connection
        self.request = request
        self.awaitsBody = awaitsBody
    }

    func noteMore() {
        if isFollowed { return }
        isFollowed = true
        owner?.moreWaits(behind: self)
    }

    /// Answers; the second answer to one request is ignored.
    func answer(_ response: HTTPResponse) {
        guard !isAnswered else { return }
        isAnswered = true
        connection.write(response, to: self)
    }
}

/// Requests of a connection: one at a time; a next one waits, as bytes, until the answer has been handed to the kernel.
extension StreamConnection {
    func readRequest(_ requests: HTTPDecoder, _ bytes: borrowing Span<UInt8>) -> Int {
        var decoder = requests
        do throws(HTTPError) {
            switch try decoder.decode(bytes) {
            case .needMore:
                put(back: .request(decoder), holding: decoder.heldBytes)
                return bytes.count
            case .head(let request, let bodyFollows, let consumed):
                begin(request, bodyFollows, decoder)
                return consumed + read(bytes.extracting(consumed..<bytes.count))
            case .body(let body, let consumed):
                charge(body.count / Self.bytesPerPackage)
                put(back: .awaiting(decoder), holding: 0)
                exchange?.awaitsBody = false
                expectAnswer()
                if let exchange { exchange.owner?.bodyArrived(body, of: exchange) }
                return consumed + read(bytes.extracting(consumed..<bytes.count))
            }
        } catch {
            stream.write(HTTPResponse(error).encoded(keepsAlive: false))
            fail(error.status == 431 || error.status == 413 ? .tooLarge : .notAnUpgrade)
            return bytes.count
        }
    }

    private func begin(_ request: UpgradeRequest, _ bodyFollows: Bool, _ decoder: HTTPDecoder) {
        charge(1)
        noteClient(of: request)
        // What follows waits until it is known whether the client is served.
        put(back: .awaiting(decoder), holding: 0)
        if isAdmitted({ self.serve(request, bodyFollows, decoder) }) { serve(request, bodyFollows, decoder) }
    }

    private func serve(_ request: UpgradeRequest, _ bodyFollows: Bool, _ decoder: HTTPDecoder) {
        if case .accept(let key, _) = request.verdict() { return upgrade(request, key) }
        guard let service = service(of: request), service.answersRequests else { return refuse(request) }
        serveRequests()
        limits = service.limits
        let exchange = HTTPExchange(self, request, awaitsBody: bodyFollows)
        self.exchange = exchange
        if bodyFollows {
            put(back: .request(decoder), holding: decoder.heldBytes)
            expect(within: limits.idleTimeout)
        } else {
            put(back: .awaiting(decoder), holding: 0)
            expectAnswer()
        }
        service.answer(exchange)
        if exchange.awaitsBody, !exchange.isAnswered, request.expectsContinue { stream.write(HTTPResponse.goOn) }
    }

    func service(of request: UpgradeRequest) -> (any PortProtocol)? {
        port.protocols.first { $0.takes(request.path) }
    }

    /// Whoever answers has deadlines of its own.
    private func expectAnswer() { cancelTimer() }

    fileprivate func write(_ response: HTTPResponse, to exchange: HTTPExchange) {
        guard !finished, self.exchange === exchange else { return }
        // A body that nobody waits for is not told from the next request.
        let keepsAlive = exchange.request.keepsAlive && !exchange.awaitsBody
        stream.write(response.encoded(keepsAlive: keepsAlive, omitsBody: exchange.request.method == "HEAD"))
        self.exchange = nil
        answered = exchange
        guard keepsAlive else { return finish(.disconnected("closed after the answer")) }
        expect(within: limits.idleTimeout)
    }

    func noteWritten() {
        guard let written = answered else { return }
        answered = nil
        written.owner?.answerWritten(written)
        guard !finished, case .awaiting(let decoder) = wire else { return }
        put(back: .request(decoder), holding: 0)
        resumeReading()
    }

    /// Nothing more can be answered; what was may still be on its way.
    func endExchange() {
        if let exchange { exchange.owner?.connectionEnded(exchange) }
        exchange = nil
    }

    /// What was answered and has not left never will.
    func loseAnswer() {
        if let answered { answered.owner?.connectionEnded(answered) }
        answered = nil
    }
}
