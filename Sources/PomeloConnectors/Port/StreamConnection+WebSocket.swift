// SPDX-License-Identifier: MIT
import Crypto
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// From a request for a WebSocket to its messages.
extension StreamConnection {
    func upgrade(_ request: UpgradeRequest, _ key: String) {
        guard let service = service(of: request) else { return refuse(request) }
        if let refusal = service.refusal(of: request) {
            stream.write(refusal.encoded(keepsAlive: false))
            if refusal.status == 403 { port.statistics.refusedOrigins += 1 }
            return fail(.notSpoken)
        }
        let extensions: String?
        do throws(WireError) {
            extensions = try agree(to: request, service.limits.compression)
        } catch {
            stream.write(UpgradeReply.badRequest)
            return fail(.notAnUpgrade)
        }
        stream.write(
            UpgradeReply.accept(key: key, protocol: service.subprotocol(of: request), extensions: extensions) {
                Bytes(Insecure.SHA1.hash(data: $0))
            })
        guard let user = serve(as: .webSocket, by: service, { service.serveWebSocket(of: self, request) }) else {
            return finish(.disconnected("refused"), closeCode: 1013, "try again later")
        }
        let decoder = WebSocketDecoder(
            maxMessageBytes: user.maxMessageBytes, allowsCompressed: compression != nil)
        put(back: .webSocket(decoder), holding: 0)
    }

    /// Answers a request that nobody here serves.
    func refuse(_ request: UpgradeRequest) {
        guard let service = service(of: request) else {
            stream.write(HTTPResponse(status: 404).encoded(keepsAlive: false))
            return fail(.notSpoken)
        }
        if let answer = service.plainAnswer(to: request) {
            port.statistics.plainAnswers += 1
            stream.write(answer.encoded(keepsAlive: false, omitsBody: request.method == "HEAD"))
            return finish(.disconnected("answered"))
        }
        switch request.verdict() {
        case .versionMismatch: stream.write(UpgradeReply.versionMismatch)
        case .badRequest: stream.write(UpgradeReply.badRequest)
        case .accept, .upgradeRequired: stream.write(UpgradeReply.upgradeRequired)
        }
        fail(.notAnUpgrade)
    }

    func readFrames(_ frames: WebSocketDecoder, _ bytes: borrowing Span<UInt8>) -> Int {
        var decoder = frames
        do throws(WebSocketError) {
            let taken = try decoder.decode(bytes) { event, limit in
                receive(event)
                if let user { limit = user.maxMessageBytes }
                return mayGoOn
            }
            put(back: .webSocket(decoder), holding: decoder.heldBytes)
            return taken
        } catch {
            fail(error.closeCode == 1009 ? .tooLarge : .badFrame, closeCode: error.closeCode, error.reason)
            return bytes.count
        }
    }

    private func receive(_ event: WebSocketEvent) {
        switch event {
        case .message(let isText, let message):
            receiveWhole(message, isText: isText)
        case .compressed(let isText, let message):
            inflate(message) { [self] message in
                if let inflated = inflated(message, isText: isText) { receiveWhole(inflated, isText: isText) }
            }
        case .ping(let payload):
            charge(1)
            _ = send(frame: WebSocketFrame.encode(.pong, payload))
        case .pong:
            charge(1)
        case .close(let code, _):
            finish(.disconnected("client closed the WebSocket"), closeCode: code)
        }
    }

    private func receiveWhole(_ message: Bytes, isText: Bool) {
        if isText, message.isEmpty, user?.takesEmptyTexts != true { return charge(1) }
        receiveMessage(message, isText: isText, from: 0)
    }

    func receiveMessage(_ message: Bytes, isText: Bool, from start: Int) {
        guard let user else { return }
        let end = user.read(message, isText: isText, from: start)
        if end < message.count { keep(message, from: end) }
    }
}
