// SPDX-License-Identifier: MIT
#if canImport(PomeloWire)
    import PomeloWire
#endif

/// What a stream of packets amounts to, and how it ended.
private func outcome(_ pieces: [Bytes], _ level: MQTTLevel) -> (packets: [MQTTPacket], error: WireError?) {
    var decoder = MQTTDecoder(maxBodyBytes: 2048)
    var rules = MQTTRules(maxTopics: 64)
    rules.level = level
    var packets: [MQTTPacket] = []
    var failure: WireError?
    do throws(WireError) {
        for piece in pieces where failure == nil {
            try decoder.decode(piece.span) { first, body, _ in
                do throws(WireError) {
                    packets.append(try MQTTPacket.decode(first, body, rules))
                    return true
                } catch {
                    failure = error
                    return false
                }
            }
            precondition(decoder.heldBytes <= 8192, "more is held than a packet may have")
        }
    } catch {
        failure = error
    }
    return (packets, failure)
}

/// However a stream is cut, its packets are the same, and each can be written and read again.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzMQTT(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Bytes(UnsafeBufferPointer(start: start, count: count))
    for level in [MQTTLevel.v31, .v311] {
        let whole = outcome([bytes], level)
        let cut = Int(bytes.first ?? 0) % (bytes.count + 1)
        let parts = outcome([Bytes(bytes[..<cut]), Bytes(bytes[cut...])], level)
        let single = outcome(bytes.map { [$0] }, level)
        precondition(whole == parts && whole == single, "the cut changes the packets")
        for packet in whole.packets {
            do throws(WireError) {
                let written = try packet.encoded()
                let again = outcome([written], level)
                precondition(again.packets == [packet] && again.error == nil, "another packet was written")
                if case .publish(let publish) = packet { check(publish, written) }
            } catch {
                preconditionFailure("a packet that was read cannot be written: \(error)")
            }
        }
    }
    return 0
}

/// The place of an id is told, and only that differs between two ids.
private func check(_ publish: MQTTPublish, _ written: Bytes) {
    do throws(WireError) {
        let form = try publish.form()
        precondition(form.bytes == written)
        guard publish.qos > 0 else { return }
        var other = publish
        other.id = publish.id == 1 ? 2 : 1
        var bytes = try other.encoded()
        bytes[form.idOffset] = UInt8(publish.id >> 8)
        bytes[form.idOffset + 1] = UInt8(truncatingIfNeeded: publish.id)
        precondition(bytes == written, "the id stands elsewhere")
    } catch {
        preconditionFailure("\(error)")
    }
}
