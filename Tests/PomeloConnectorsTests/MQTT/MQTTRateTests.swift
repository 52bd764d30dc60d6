// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// Messages that are too many.
@Suite struct MQTTRateTests {
    /// MQTT has no word for a message that is refused: one that nothing answers to is not confirmed.
    ///
    /// Its sender says it again. With an answer, in which that is said, it is.
    @Test(arguments: [1, 2], [nil, "a.b.c"])
    @Loop func whatIsOverTheRateIsNotConfirmedInSilence(_ qos: Int, _ route: String?) throws {
        var options = MQTTOptions()
        options.publishRoute = route
        options.limits.rate.messagesPerSecond = 5
        options.limits.rate.messageBurst = 5
        let wired = try MQTTWired(options)
        wired.host.echoing = false
        try wired.work()
        var confirmed = 0
        for id in 1...15 where wired.stream.closing == nil {
            try wired.say(.publish(MQTTPublish("a.b.c", [], qos: UInt8(qos), id: UInt16(id))))
            confirmed += try wired.heard().count { packet in
                switch packet {
                case .publishAck, .publishReceived: true
                default: false
                }
            }
        }
        #expect(wired.host.messages.count == 5)
        #expect(confirmed == (route == nil ? 15 : 5))
        #expect(wired.fault(.overRate) == (route == nil ? 0 : 1))
        #expect(wired.port.statistics.overRate == (route == nil ? 10 : 1))
    }
}
