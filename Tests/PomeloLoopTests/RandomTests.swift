// SPDX-License-Identifier: MIT
import PomeloLoop
import Testing

@Suite struct RandomTests {
    @Test @Loop func equalSeedsGiveEqualSequences() {
        let a = RandomSource(seed: 7)
        let b = RandomSource(seed: 7)
        let c = RandomSource(seed: 8)
        let sequence = (0..<100).map { _ in a.next() }
        #expect(sequence == (0..<100).map { _ in b.next() })
        #expect(sequence != (0..<100).map { _ in c.next() })
        #expect(a.bytes(16) == b.bytes(16) && a.instanceID() == b.instanceID())
    }

    /// - Source: the reference implementation's first outputs for these seeds (prng.di.unimi.it, splitmix64.c).
    @Test func theGeneratorIsSplitMix64() {
        var zero = SplitMix64(seed: 0)
        #expect([zero.next(), zero.next()] == [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4])
        var other = SplitMix64(seed: 1_234_567)
        #expect([other.next(), other.next()] == [6_457_827_717_110_365_317, 3_203_168_211_198_807_973])
    }

    @Test @Loop func withoutASeedSequencesDiffer() {
        #expect(RandomSource().bytes(16) != RandomSource().bytes(16))
    }

    @Test(arguments: [0, 0.1, 0.5, 1]) @Loop func jitterStaysInItsBounds(fraction: Double) {
        let random = RandomSource(seed: 3)
        let values = (0..<2000).map { _ in random.jittered(.seconds(10), by: fraction) }
        #expect(
            values.allSatisfy { $0 >= .seconds(10) * (1 - fraction) && $0 <= .seconds(10) * (1 + fraction) })
        let mean = values.reduce(.zero, +) / values.count
        #expect(mean > .seconds(10) * (1 - fraction / 10) - .milliseconds(1))
        #expect(mean < .seconds(10) * (1 + fraction / 10) + .milliseconds(1))
    }

    @Test @Loop func anInstanceIDIs16HexadecimalDigits() {
        let random = RandomSource(seed: 1)
        let ids = (0..<1000).map { _ in random.instanceID() }
        #expect(ids.allSatisfy { $0.utf8.count == 16 && $0.allSatisfy { "0123456789abcdef".contains($0) } })
        #expect(Set(ids).count == 1000)
    }

    @Test(arguments: [0, 1, 33]) @Loop func asManyBytesAsAskedFor(count: Int) {
        #expect(RandomSource(seed: 2).bytes(count).count == count)
    }
}
