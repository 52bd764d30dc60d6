// SPDX-License-Identifier: MIT
import Glibc
import PomeloLoop
import PomeloUV
import TestHelpers
import Testing

@Suite struct DescriptorPollTests {
    @Test @Loop func saysWhenBytesCanBeRead() async throws {
        try await withPipe { pipe in
            let ready = Journal<DescriptorPoll.Readiness>()
            let poll = try DescriptorPoll(descriptor: pipe.reading) {
                ready.note($0)
                pipe.readByte()
            }
            pipe.writeByte()
            await turns(3)
            #expect(ready.entries.isEmpty, "nothing is watched yet")
            poll.watch(.readable)
            await until("ready") { ready.entries == [.readable] }
            pipe.writeByte()
            await until("ready again") { ready.entries == [.readable, .readable] }
            poll.watch([])
            pipe.writeByte()
            await turns(3)
            #expect(ready.entries.count == 2)
            poll.close()
        }
    }

    @Test @Loop func saysWhenBytesCanBeWritten() async throws {
        try await withPipe { pipe in
            let ready = Journal<DescriptorPoll.Readiness>()
            let poll = try DescriptorPoll(descriptor: pipe.writing) { ready.note($0) }
            poll.watch(.writable)
            await until("ready") { !ready.entries.isEmpty }
            poll.close()
            poll.close()
            let count = ready.entries.count
            poll.watch(.writable)
            await turns(3)
            #expect(ready.entries.count == count)
            #expect(ready.entries.allSatisfy { $0 == .writable })
        }
    }

    @Test @Loop func anErrorIsReadinessForAllThatWasWatched() async throws {
        try await withPipe { pipe in
            let ready = Journal<DescriptorPoll.Readiness>()
            let poll = try DescriptorPoll(descriptor: pipe.writing) { ready.note($0) }
            pipe.fill()
            poll.watch(.writable)
            pipe.closeReading()
            await until("told") { !ready.entries.isEmpty }
            #expect(ready.entries.first == .writable)
            poll.close()
        }
    }

    @Test @Loop func aDescriptorThatIsNotOneIsAnError() async {
        let error = await failure { () throws(NetworkError) in try DescriptorPoll(descriptor: 9999) { _ in } }
        #expect(error?.code == "EBADF")
    }
}

/// A pipe of the kernel, one byte at a time.
@Loop private final class Pipe {
    let reading: Int32
    let writing: Int32
    private var readingIsOpen = true

    init() throws {
        var ends: [Int32] = [0, 0]
        let status = unsafe pipe(&ends)
        reading = ends[0]
        writing = ends[1]
        try #require(status == 0)
        for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
    }

    func writeByte() {
        var byte: UInt8 = 1
        _ = unsafe write(writing, &byte, 1)
    }

    func readByte() {
        var byte: UInt8 = 0
        _ = unsafe read(reading, &byte, 1)
    }

    func fill() {
        let page = [UInt8](repeating: 0, count: 4096)
        while unsafe write(writing, page, page.count) > 0 {}
    }

    func closeReading() {
        if readingIsOpen { Glibc.close(reading) }
        readingIsOpen = false
    }

    func close() {
        closeReading()
        Glibc.close(writing)
    }
}

@Loop private func withPipe(_ body: @Loop (Pipe) async throws -> Void) async throws {
    let pipe = try Pipe()
    defer { pipe.close() }
    try await body(pipe)
}
