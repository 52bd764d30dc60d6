// SPDX-License-Identifier: MIT
import Glibc
import Pomelo

/// Wall and CPU time of this process from now on.
struct CostMeter {
    private let wall = now(CLOCK_MONOTONIC)
    private let cpu = now(CLOCK_PROCESS_CPUTIME_ID)

    func report(_ operations: Int, _ more: String = "") {
        let (usedWall, usedCPU) = (now(CLOCK_MONOTONIC) - wall, now(CLOCK_PROCESS_CPUTIME_ID) - cpu)
        print("operations=\(operations) wall_ns=\(usedWall) cpu_ns=\(usedCPU) \(more)")
    }
}

private func now(_ clock: clockid_t) -> Int {
    var time = timespec()
    unsafe clock_gettime(clock, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// The longest time between two turns of the loop, from now on; and the most CPU that its thread used between two,
/// which says what a turn takes on a machine that does nothing else.
@Loop final class StallMeter {
    private var longest = 0
    private var most = 0
    private var isStopped = false
    private var task: Task<Void, Never>?

    init() {
        task = Loop.spawn { [self] in
            var (wall, cpu) = (now(CLOCK_MONOTONIC), now(CLOCK_THREAD_CPUTIME_ID))
            while !isStopped {
                await Loop.yield()
                let next = (now(CLOCK_MONOTONIC), now(CLOCK_THREAD_CPUTIME_ID))
                (longest, most) = (max(longest, next.0 - wall), max(most, next.1 - cpu))
                (wall, cpu) = next
            }
        }
    }

    func stop() async -> String {
        isStopped = true
        await task?.value
        return "stall_ns=\(longest) turn_ns=\(most)"
    }
}

/// Of the whole process.
func residentBytes() -> Int { status("VmRSS:") }
func peakResidentBytes() -> Int { status("VmHWM:") }

private func status(_ name: String) -> Int {
    guard let file = unsafe fopen("/proc/self/status", "r") else { return 0 }
    defer { unsafe fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while unsafe fgets(&line, Int32(line.count), file) != nil {
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard text.hasPrefix(name) else { continue }
        return (text.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? 0) * 1024
    }
    return 0
}
