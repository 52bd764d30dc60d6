// SPDX-License-Identifier: MIT
import Foundation
import PomeloUV
import Testing

/// What the machine says of itself, beside what its files do.
@Suite struct MachineTests {
    private func file(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    @Test func itsNameAndItsSystem() throws {
        let name = try file("/proc/sys/kernel/hostname").dropLast()
        let release = try file("/proc/sys/kernel/osrelease").dropLast()
        #expect(ThisMachine.hostName == name)
        #expect(ThisMachine.system.hasPrefix("Linux \(release) "))
    }

    @Test func itsMemory() throws {
        let total = try #require(try file("/proc/meminfo").split(separator: "\n").first { $0.hasPrefix("MemTotal:") })
        let kibibytes = try #require(UInt64(total.split(separator: " ")[1]))
        let memory = ThisMachine.memory
        #expect(memory.total == kibibytes * 1024 && memory.available > 0 && memory.available < memory.total)
    }

    @Test func itsLoadAndItsProcessors() throws {
        #expect(ThisMachine.load.count == 3 && ThisMachine.load.allSatisfy { $0 >= 0 })
        let rows = try file("/proc/stat").split(separator: "\n").filter { $0.hasPrefix("cpu") }
        let processors = ThisMachine.processors
        #expect(processors.count == rows.count - 1)
        #expect(processors.allSatisfy { $0.user > .zero && $0.system > .zero && $0.idle > .zero })
    }
}
