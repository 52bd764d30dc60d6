// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// One client that speaks MQTT.
@Loop final class MQTTClient {
    enum Phase: UInt8 { case awaitingConnect, working, closed }

    let shared: MQTTProtocol
    let connection: StreamConnection
    var phase = Phase.awaitingConnect
    var rules: MQTTRules
    var ledger = MQTTLedger()
    let rate: ClientRate?
    /// In nanoseconds; 0 when the client wants none.
    private var silence: UInt64 = 0
    /// From an accepted CONNECT until the host was told of the end.
    private(set) var session: ClientSession?
    /// Nil while it is at work further up the stack.
    private var decoder: MQTTDecoder?

    init(_ shared: MQTTProtocol, _ connection: StreamConnection) {
        self.shared = shared
        self.connection = connection
        rate = ClientRate(shared.limits.rates)
        rules = MQTTRules(maxTopics: shared.options.maxTopics)
        decoder = MQTTDecoder(maxBodyBytes: shared.limits.maxBytesBeforeAck)
    }

    var port: ClientPort { connection.port }
    var options: MQTTOptions { shared.options }

    /// Shows the client to the core; false when it is not wanted.
    func open() -> Bool {
        session = port.host.opened(self)
        // It may have ended the connection at once.
        if connection.finished { ended(.disconnected("closed by the server")) }
        return session != nil || connection.finished
    }

    // MARK: time

    /// The client is known: from now on its silence is measured.
    ///
    /// - Source: OASIS MQTT 3.1.1, section 3.1.2.10: one and a half times what the client said.
    func startWorking(keepAlive: UInt16) {
        silence = UInt64(keepAlive) * 1_500_000_000
        connection.lastActivity = port.clock.now
        port.noLongerPending(connection)
        if silence > 0 { connection.expect(within: silence) } else { connection.expectTraffic() }
    }

    func overdue() {
        switch phase {
        case .closed: break
        case .awaitingConnect: connection.fail(.handshakeTimeout)
        case .working:
            if silence == 0 { return connection.idle() }
            let quiet = port.clock.now - connection.lastActivity
            // While this side does not read, silence proves nothing.
            if connection.isHeldBack { return connection.expect(within: silence) }
            if quiet < silence { return connection.expect(within: silence - quiet) }
            connection.fail(.heartbeatTimeout)
        }
    }

    /// Only what the client says counts, unless it has no keep-alive.
    func drained() {
        if silence == 0 { connection.lastActivity = port.clock.now }
    }

    /// Reading begins again: what the client said meanwhile is still to be read.
    func extendSilence() {
        if phase == .working, silence > 0 { connection.expect(within: silence) }
    }
}

extension MQTTClient: StreamUser {
    /// Of a WebSocket: no message is longer than a packet may be.
    var maxMessageBytes: Int {
        let limits = shared.limits
        return (phase == .working ? limits.maxMessageBytes : limits.maxBytesBeforeAck) + MQTTPacket.maxHeaderLength
    }
    var heldBytes: Int { decoder?.heldBytes ?? 0 }

    func read(_ bytes: borrowing Span<UInt8>) -> Int { decode(bytes) }

    private func decode(_ bytes: borrowing Span<UInt8>) -> Int {
        guard var decoder else { return bytes.count }
        // It leaves the property while it works, because what it finds may lead back here.
        self.decoder = nil
        do throws(WireError) {
            let taken = try decoder.decode(bytes) { first, body, limit in
                receive(first, body, &limit)
            }
            if !connection.finished { self.decoder = decoder }
            return taken
        } catch {
            connection.fail(Self.fault(error))
            return bytes.count
        }
    }

    /// Where a message begins and ends says nothing about packets.
    ///
    /// - Source: OASIS MQTT 3.1.1, section 6.
    func read(_ message: Bytes, isText: Bool, from start: Int) -> Int {
        guard !isText else {
            connection.fail(.badFrame, closeCode: 1003, "MQTT is binary")
            return message.count
        }
        return start + decode(message.span.extracting(start..<message.count))
    }

    static func fault(_ error: WireError) -> ConnectionFault {
        if case .tooLarge = error { return .tooLarge }
        return .badPackage
    }

    func ending() {
        phase = .closed
        decoder = nil
        ledger = MQTTLedger()
    }

    func ended(_ end: SessionEnd) {
        guard let session else { return }
        self.session = nil
        port.host.closed(session, end)
    }
}
