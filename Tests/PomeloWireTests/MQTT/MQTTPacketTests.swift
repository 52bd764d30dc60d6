// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire
import Testing

/// Packets of MQTT by the examples and the tables of the specification.
@Suite struct MQTTPacketTests {
    struct Vector: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let packet: MQTTPacket
        let bytes: Bytes
        var level = MQTTLevel.v311

        init(_ name: String, _ packet: MQTTPacket, _ digits: String, level: MQTTLevel = .v311) {
            testDescription = name
            self.packet = packet
            bytes = hex(digits)
            self.level = level
        }
    }

    static let vectors = [
        Vector("CONNECT", .connect(MQTTConnect("c1")), "10 0e 0004 4d515454 04 02 003c 0002 6331"),
        Vector("CONNACK", .connectAck(sessionPresent: false, .accepted), "20 02 00 00"),
        Vector("CONNACK 5", .connectAck(sessionPresent: false, .notAuthorized), "20 02 00 05"),
        Vector("CONNACK of a session", .connectAck(sessionPresent: true, .accepted), "20 02 01 00"),
        Vector(
            "PUBLISH", .publish(MQTTPublish("a/b", Bytes("hi".utf8), qos: 1, id: 10)), "32 09 0003 612f62 000a 6869"),
        Vector("PUBLISH with QoS 0", .publish(MQTTPublish("a/b", [])), "30 05 0003 612f62"),
        Vector(
            "PUBLISH again, retained, with QoS 2",
            .publish(MQTTPublish("a", [0, 255], qos: 2, retain: true, isRepeated: true, id: 65535)),
            "3d 07 0001 61 ffff 00ff"),
        Vector("PUBACK", .publishAck(10), "40 02 000a"),
        Vector("PUBREC", .publishReceived(258), "50 02 0102"),
        Vector("PUBREL", .publishRelease(258), "62 02 0102"),
        Vector("PUBCOMP", .publishComplete(258), "70 02 0102"),
        Vector("SUBSCRIBE", .subscribe(10, [MQTTSubscription("a/b", qos: 1)]), "82 08 000a 0003 612f62 01"),
        Vector(
            "SUBSCRIBE of the specification's example",
            .subscribe(10, [MQTTSubscription("a/b", qos: 1), MQTTSubscription("c/d", qos: 2)]),
            "82 0e 000a 0003 612f62 01 0003 632f64 02"),
        Vector("SUBACK", .subscribeAck(10, [1]), "90 03 000a 01"),
        Vector("SUBACK with a failure", .subscribeAck(10, [0, 2, 0x80]), "90 05 000a 00 02 80"),
        Vector("UNSUBSCRIBE", .unsubscribe(10, ["a/b", "c/d"]), "a2 0c 000a 0003 612f62 0003 632f64"),
        Vector("UNSUBACK", .unsubscribeAck(10), "b0 02 000a"),
        Vector("PINGREQ", .ping, "c0 00"),
        Vector("PINGRESP", .pong, "d0 00"),
        Vector("DISCONNECT", .disconnect, "e0 00"),
        Vector(
            "CONNECT with everything, keep-alive 10",
            .connect(
                MQTTConnect(
                    "c1", keepAlive: 10, will: .init(topic: "w", payload: [7], qos: 1, retain: true), user: "u",
                    password: [0])),
            "10 1a 0004 4d515454 04 ee 000a 0002 6331 0001 77 0001 07 0001 75 0001 00"),
        Vector(
            "CONNECT of 3.1", .connect(MQTTConnect("c1", level: .v31, cleanSession: false)),
            "10 10 0006 4d5149736470 03 00 003c 0002 6331", level: .v31),
    ]

    static func read(_ pieces: [Bytes], level: MQTTLevel = .v311, limit: Int = 1 << 20) -> ([MQTTPacket], WireError?) {
        var decoder = MQTTDecoder(maxBodyBytes: limit)
        var rules = MQTTRules(maxTopics: 8)
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
            }
        } catch {
            failure = error
        }
        if failure == nil, decoder.heldBytes > 0 { failure = .malformed("unfinished") }
        return (packets, failure)
    }

    @Test(arguments: vectors) func areReadAndWritten(_ vector: Vector) throws {
        let (packets, error) = Self.read([vector.bytes], level: vector.level)
        #expect(packets == [vector.packet] && error == nil)
        #expect(try vector.packet.encoded() == vector.bytes)
    }

    @Test func allOfThemAtEverySplitInTwoAndThree() {
        let stream = Self.vectors.flatMap(\.bytes)
        let expected = Self.vectors.map(\.packet)
        for first in 0...stream.count {
            let (packets, error) = Self.read([Bytes(stream[..<first]), Bytes(stream[first...])])
            #expect(packets == expected && error == nil, "cut at \(first)")
            for second in stride(from: first, through: stream.count, by: 5) {
                let pieces = [Bytes(stream[..<first]), Bytes(stream[first..<second]), Bytes(stream[second...])]
                #expect(Self.read(pieces).0 == expected, "cut at \(first) and \(second)")
            }
        }
        #expect(Self.read(stream.map { [$0] }).0 == expected)
    }

    @Test func theDecoderStopsWhereItIsToldTo() throws {
        let stream = Self.vectors.flatMap(\.bytes)
        var decoder = MQTTDecoder(maxBodyBytes: 1000)
        var (offset, count) = (0, 0)
        while offset < stream.count {
            offset += try decoder.decode(stream.span.extracting(offset..<min(stream.count, offset + 3))) { _, _, _ in
                count += 1
                return false
            }
        }
        #expect(count == Self.vectors.count)
        #expect(decoder.heldBytes == 0)
    }

    // MARK: what must not be

    struct Malformed: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bytes: Bytes
        let error: WireError
        var level = MQTTLevel.v311

        init(_ digits: String, _ text: String) {
            self.init(digits, .malformed(text), text)
        }

        init(_ digits: String, _ error: WireError, _ name: String, level: MQTTLevel = .v311) {
            testDescription = "\(digits): \(name)"
            bytes = hex(digits)
            self.error = error
            self.level = level
        }
    }

    static let malformed = [
        Malformed("00 00", "packet type"),
        Malformed("f0 00", "packet type"),
        Malformed("c0 80808080 00", "remaining length of more than four bytes"),
        Malformed("c0 ffffff7f", .tooLarge(limit: 1 << 20), "the longest length"),
        Malformed("30 818040", .tooLarge(limit: 1 << 20), "a byte over the limit"),
        Malformed("11 0e 0004 4d515454 04 02 003c 0002 6331", "flags of a packet"),
        Malformed("80 08 000a 0003 612f62 01", "flags of a packet"),
        Malformed("8a 08 000a 0003 612f62 01", "flags of a packet"),
        Malformed("a0 07 000a 0003 612f62", "flags of a packet"),
        Malformed("60 02 0001", "flags of a packet"),
        Malformed("41 02 0001", "flags of a packet"),
        Malformed("c1 00", "flags of a packet"),
        Malformed("e8 00", "flags of a packet"),
        Malformed("c0 01 00", "bytes behind a packet"),
        Malformed("e0 01 00", "bytes behind a packet"),
        Malformed("40 03 0001 00", "bytes behind a packet"),
        Malformed("40 01 00", "packet cut short"),
        Malformed("40 02 0000", "packet id 0"),
        Malformed("50 02 0000", "packet id 0"),
        Malformed("62 02 0000", "packet id 0"),
        Malformed("70 02 0000", "packet id 0"),
        Malformed("82 08 0000 0003 612f62 01", "packet id 0"),
        Malformed("a2 07 0000 0003 612f62", "packet id 0"),
        Malformed("32 07 0003 612f62 0000", "packet id 0"),
        Malformed("32 05 0003 612f62", "packet cut short"),
        Malformed("36 07 0003 612f62 0001", "QoS 3"),
        Malformed("38 05 0003 612f62", "repeated with QoS 0"),
        Malformed("30 02 0000", "topic of PUBLISH"),
        Malformed("30 03 0001 2b", "topic of PUBLISH"),
        Malformed("30 05 0003 612f23", "topic of PUBLISH"),
        Malformed("30 03 0001 00", "U+0000"),
        Malformed("30 05 0003 eda080", "text that is no UTF-8"),
        Malformed("30 04 0002 c0af", "text that is no UTF-8"),
        Malformed("30 04 0004 6161", "text cut short"),
        Malformed("30 01 00", "packet cut short"),
        Malformed("30 00", "packet cut short"),
        Malformed("82 02 0001", "packet cut short"),
        Malformed("82 05 0001 0000 00", "topic of a subscription"),
        Malformed("82 06 0001 0001 61 03", "QoS of a subscription"),
        Malformed("82 06 0001 0001 61 81", "QoS of a subscription"),
        Malformed("82 05 0001 0001 61", "packet cut short"),
        Malformed("82 09 0001 0003 612f62 00 00", "packet cut short"),
        Malformed("82 07 0001 0002 6123 00", "topic of a subscription"),
        Malformed("82 08 0001 0003 232f61 00", "topic of a subscription"),
        Malformed("82 07 0001 0002 612b 00", "topic of a subscription"),
        Malformed("82 07 0001 0002 2b61 00", "topic of a subscription"),
        Malformed("a2 02 0001", "packet cut short"),
        Malformed("a2 04 0001 0000", "topic of a subscription"),
        Malformed("82 26" + "0001" + String(repeating: "0001 61 00", count: 9), .tooLarge(limit: 8), "nine topics"),
        Malformed("10 0e 0004 4d515454 05 02 003c 0002 6331", other, "level 5"),
        Malformed("10 0e 0004 4d515454 03 02 003c 0002 6331", other, "3.1's level with 3.1.1's name"),
        Malformed("10 10 0006 4d5149736470 04 02 003c 0002 6331", other, "and the other way round"),
        Malformed("10 0e 0004 6d717474 04 02 003c 0002 6331", other, "mqtt in small letters"),
        Malformed("10 0e 0004 4d515454 04 03 003c 0002 6331", "reserved flag of CONNECT"),
        Malformed("10 0e 0004 4d515454 04 0a 003c 0002 6331", "flags of a will that is not there"),
        Malformed("10 0e 0004 4d515454 04 22 003c 0002 6331", "flags of a will that is not there"),
        Malformed("10 14 0004 4d515454 04 1e 003c 0002 6331 0001 77 0001 07", "QoS of a will"),
        Malformed("10 13 0004 4d515454 04 06 003c 0002 6331 0000 0001 07", "topic of a will"),
        Malformed("10 0f 0004 4d515454 04 42 003c 0002 6331 00", "password without user"),
        Malformed("10 0e 0004 4d515454 04 82 003c 0002 6331", "packet cut short"),
        Malformed("10 0f 0004 4d515454 04 02 003c 0002 6331 00", "bytes behind a packet"),
        Malformed("10 0a 0004 4d515454 04 02 003c", "packet cut short"),
        Malformed("10 00", "packet cut short"),
        Malformed("20 02 02 00", "CONNACK"),
        Malformed("20 02 00 06", "CONNACK"),
        Malformed("90 03 000a 03", "QoS that is granted"),
        Malformed("90 02 000a", "packet cut short"),
    ]
    private static let other = WireError.unsupported("another protocol, or another version of it")

    @Test(arguments: malformed) func isRefused(_ one: Malformed) {
        for pieces in [[one.bytes], one.bytes.map { [$0] }] {
            let (packets, error) = Self.read(pieces, level: one.level)
            #expect(packets.isEmpty && error == one.error)
        }
    }

    /// In 3.1 the bit that is reserved since says that a packet is sent again, and a name may be promised and missing.
    @Test func whatOlderClientsMay() {
        for digits in ["8a08000a0003612f6201", "aa07000a0003612f62", "6a020001"] {
            let (packets, error) = Self.read([hex(digits)], level: .v31)
            #expect(packets.count == 1 && error == nil, "\(digits)")
        }
        #expect(Self.read([hex("48020001")], level: .v31).1 == .malformed("flags of a packet"))
        let (packets, error) = Self.read([hex("101000064d514973647003c2003c00026331")])
        #expect(packets == [.connect(MQTTConnect("c1", level: .v31))] && error == nil)
    }

    @Test func whoMayHaveNoName() {
        #expect(MQTTConnect("").refusal == nil)
        #expect(MQTTConnect("", cleanSession: false).refusal == .badClientID)
        #expect(MQTTConnect("", level: .v31).refusal == .badClientID)
        #expect(MQTTConnect("a", cleanSession: false).refusal == nil)
    }

    @Test func topicsAndFilters() {
        for filter in ["#", "+", "a", "/", "a/#", "+/#", "a/+/b", "/+", "+/", "$SYS/#", "a//b", "é 中"] {
            #expect(MQTTTopic.isFilter(filter), "\(filter)")
        }
        for filter in ["", "a#", "#/a", "##", "a+", "+a", "a/+b", "a/#/b", "\0", "a\0"] {
            #expect(!MQTTTopic.isFilter(filter), "\(filter.debugDescription)")
        }
        #expect(MQTTTopic.isName("a/b c/é") && MQTTTopic.isName(String(repeating: "a", count: 65_535)))
        for name in ["", "a/+", "#", "\0", String(repeating: "a", count: 65_536)] { #expect(!MQTTTopic.isName(name)) }
    }

    /// A length that is announced costs nothing before it is found to be allowed, and then only what has come.
    @Test func memoryIsTakenForWhatHasCome() throws {
        var decoder = MQTTDecoder(maxBodyBytes: 200_000_000)
        try decoder.decode(hex("30ffffff5e").span) { _, _, _ in true }
        #expect(decoder.heldBytes < 64)
        decoder = MQTTDecoder(maxBodyBytes: 127)
        #expect(throws: WireError.tooLarge(limit: 127)) {
            try decoder.decode(hex("308001").span) { _, _, _ in true }
        }
        #expect(decoder.heldBytes == 0)
    }

    @Test func lengthsAtTheirEdges() throws {
        for length in [0, 1, 124, 125, 16_379, 16_380, 2_097_147, 2_097_148] {
            let publish = MQTTPublish("abc", Bytes(repeating: 7, count: length))
            let bytes = try publish.encoded()
            #expect(Self.read([bytes], limit: 1 << 24).0 == [.publish(publish)], "\(length)")
        }
        // More bytes than a length needs are no fault in 3.1.1.
        #expect(Self.read([hex("c08000")]).0 == [.ping])
    }

    @Test func whatCannotBeIsNotWritten() {
        let packets: [MQTTPacket] = [
            .publish(MQTTPublish("", [])), .publish(MQTTPublish("a/#", [])), .publish(MQTTPublish("a", [], qos: 1)),
            .publish(MQTTPublish("a", [], id: 1)), .publish(MQTTPublish("a", [], qos: 3, id: 1)),
            .publish(MQTTPublish("a", [], isRepeated: true)), .publishAck(0), .subscribe(0, [.init("a", qos: 0)]),
            .subscribe(1, []), .subscribe(1, [.init("a#", qos: 0)]), .subscribe(1, [.init("a", qos: 3)]),
            .unsubscribe(1, [""]), .connect(MQTTConnect("a", password: [1])),
            .connect(MQTTConnect("a", will: .init(topic: "+", payload: []))),
            .connect(MQTTConnect(String(repeating: "a", count: 65_536))),
        ]
        for packet in packets {
            #expect(throws: WireError.self, "\(packet)") { try packet.encoded() }
        }
    }
}
