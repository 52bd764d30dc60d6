// SPDX-License-Identifier: MIT
import Crypto
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// From an HTTP request to the messages of a WebSocket.
extension StreamConnection {
    func readRequest(_ request: UpgradeDecoder, _ bytes: borrowing Span<UInt8>) -> Int {
        var decoder = request
        do throws(WireError) {
            switch try decoder.decode(bytes) {
            case .needMore:
                put(back: .request(decoder), holding: decoder.heldBytes)
            case .request(let request, let consumed):
                answer(request)
                return consumed + read(bytes.extracting(consumed..<bytes.count))
            }
        } catch {
            if case .tooLarge = error {
                stream.write(UpgradeReply.headTooLarge)
                fail(.tooLarge)
            } else {
                stream.write(UpgradeReply.badRequest)
                fail(.notAnUpgrade)
            }
        }
        return bytes.count
    }

    private func answer(_ request: UpgradeRequest) {
        switch request.verdict() {
        case .accept(let key, let subprotocol):
            guard let one = port.protocols.first(where: { request.path.hasPrefix($0.path) }) else {
                stream.write(UpgradeReply.badRequest)
                return fail(.notSpoken)
            }
            stream.write(
                UpgradeReply.accept(key: key, protocol: subprotocol) { Bytes(Insecure.SHA1.hash(data: $0)) })
            guard let user = serve(as: .webSocket, { one.serveWebSocket(of: self, request) }) else {
                return finish(.disconnected("refused"), closeCode: 1013, "try again later")
            }
            return put(back: .webSocket(WebSocketDecoder(maxMessageBytes: user.maxMessageBytes)), holding: 0)
        case .upgradeRequired: stream.write(UpgradeReply.upgradeRequired)
        case .versionMismatch: stream.write(UpgradeReply.versionMismatch)
        case .badRequest: stream.write(UpgradeReply.badRequest)
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
        case .message(text: true, let message) where message.isEmpty:
            charge(1)
        case .message(_, let message):
            receiveMessage(message, from: 0)
        case .ping(let payload):
            charge(1)
            _ = send(frame: WebSocketFrame.encode(.pong, payload))
        case .pong:
            charge(1)
        case .close(let code, _):
            finish(.disconnected("client closed the WebSocket"), closeCode: code)
        }
    }

    func receiveMessage(_ message: Bytes, from start: Int) {
        guard let user else { return }
        let end = user.read(message, from: start)
        if end < message.count { keep(message, from: end) }
    }
}
