// SPDX-License-Identifier: MIT
import CPomelo
import PomeloLibc
import Synchronization

/// The process's event loop: one thread that waits in libuv and runs Swift jobs, as serial and as task executor.
///
/// A turn is: jobs, then the flush of everything written (`FlushList`), then the poll for I/O, then the jobs of what
/// was read, then the timers that were due before the poll, whose jobs begin the next turn. So a deadline never fires
/// before what would have met it was read, however long the process stood still.
///
/// - Isolation: members said to be "loop thread only" are touched by that thread alone.
@safe public final class EventLoop: SerialExecutor, TaskExecutor, @unchecked Sendable {
    // SAFETY: everything mutable is either loop thread only, or behind `inbox`, or an atomic.

    /// What drives the turns.
    public enum Driver: Sendable {
        /// A thread of its own, waiting in libuv.
        case uv
        /// `runTurn()` calls of a test, in the given job order; there is no I/O and no thread.
        case manual(JobOrder)
    }

    /// The process's one loop; the first use starts it.
    public static let shared = EventLoop(driver: chosenDriver.withLock { $0 })

    private static let chosenDriver = PosixMutex(Driver.uv)

    /// Chooses the driver; must be called before the first use of `shared` or of any `@Loop` code.
    public static func choose(_ driver: Driver) { chosenDriver.withLock { $0 = driver } }

    /// The most jobs run before I/O is looked at again.
    ///
    /// 1024 keeps the worst timer gap at 1.5 ms under 200 tasks that never stop (measured on 2 vCPUs).
    static let jobBudget = 1024

    private struct Inbox {
        var jobs: [UnownedJob] = []
        var calls: [@Loop @Sendable () -> Void] = []
    }

    /// Set once by `ProcessWideExecutor`; then jobs carry no task preference.
    var ownsProcess: Bool { processFlag.load(ordering: .relaxed) }
    /// The libuv side; absent under the manual driver.
    public let uv: UVDriver?
    private let inbox = PosixMutex(Inbox())
    private let inboxSignalled = Atomic<Bool>(false)
    private let turnCounter = Atomic<Int>(0)
    private let processFlag = Atomic<Bool>(false)
    private let workBegan = Atomic<UInt64>(0)

    // Loop thread only.
    private let ready = JobRing()
    private var deferred: [CheckedContinuation<Void, Never>] = []
    private var later: [@Loop () -> Void] = []
    // Whether there are any, asked several times a turn: what grows in place is looked at for overlap when it is read.
    private var (hasDeferred, hasLater) = (false, false)
    private var draining = false
    /// What the running `drain` may still do.
    private var budget = 0
    /// What must be written at the end of this turn.
    @Loop public var flushList: FlushList { list }
    private let list = FlushList()
    @Loop var runner: Runner { bodies }
    private let bodies = Runner()

    private init(driver: Driver) {
        pomelo_ignore_sigpipe()
        switch driver {
        case .uv:
            let uv = UVDriver()
            self.uv = uv
            uv.start(self)
        case .manual(let order):
            uv = nil
            ready.setOrder(order)
        }
    }

    /// Whether the calling thread is the loop's.
    @inline(__always)
    public var isOnLoop: Bool {
        unsafe pomelo_current_loop() == Unmanaged.passUnretained(self).toOpaque()
    }

    func bindToCurrentThread() {
        unsafe pomelo_set_current_loop(Unmanaged.passUnretained(self).toOpaque())
    }

    func setOwnsProcess() { processFlag.store(true, ordering: .relaxed) }

    /// Turns begun so far; readable from any thread.
    public var turns: Int { turnCounter.load(ordering: .relaxed) }
    /// The same of `shared`, whose reference nobody has to count for it.
    package static var turn: Int { shared.turnCounter.load(ordering: .relaxed) }

    // MARK: whether it works

    /// When the poll ended that the loop has not returned to since, in milliseconds of `uv_hrtime`; 0 while it polls.
    ///
    /// Readable from any thread: who watches the loop need not wake it.
    var busySince: UInt64 { workBegan.load(ordering: .relaxed) }

    /// The poll has ended; the first one to notice says so.
    @usableFromInline
    func noteWork() {
        if workBegan.load(ordering: .relaxed) == 0 { workBegan.store(uv?.pollEnd ?? 0, ordering: .relaxed) }
    }

    func noteRest() { workBegan.store(0, ordering: .relaxed) }

    // MARK: executor

    /// Queues a job, from any thread; on the loop's own it takes no lock and no system call.
    public func enqueue(_ job: consuming ExecutorJob) { admit(UnownedJob(job)) }

    func admit(_ job: UnownedJob) {
        if isOnLoop {
            ready.push(job)
        } else {
            inbox.withLock { $0.jobs.append(job) }
            wake()
        }
    }

    /// Runs `call` on the loop, from any thread, before any task: the way in for foreign threads without a task.
    public func post(_ call: @escaping @Loop @Sendable () -> Void) {
        inbox.withLock { $0.calls.append(call) }
        wake()
    }

    private func wake() {
        if !inboxSignalled.exchange(true, ordering: .acquiringAndReleasing) { uv?.wake() }
    }

    /// Whether the calling thread is the loop's, as the Swift runtime asks it.
    public func isIsolatingCurrentContext() -> Bool? { isOnLoop }

    /// Traps on any thread but the loop's.
    public func checkIsolated() { precondition(isOnLoop, "not on the event loop thread") }

    @Loop func `defer`(_ continuation: CheckedContinuation<Void, Never>) {
        deferred.append(continuation)
        hasDeferred = true
    }

    /// Runs `call` when the next turn begins: work that asks for the next turn again and again is cut into slices,
    /// between which the sockets are looked at and other jobs run.
    @Loop public func inNextTurn(_ call: @escaping @Loop () -> Void) {
        later.append(call)
        hasLater = true
    }

    // MARK: a turn

    /// Runs ready jobs, at most `jobBudget`; never re-enters.
    func drain() {
        if draining { return }
        draining = true
        defer { draining = false }
        takeInbox()
        budget = Self.jobBudget
        let serial = unsafe asUnownedSerialExecutor()
        let task = unsafe asUnownedTaskExecutor()
        let preferring = !ownsProcess
        repeat {
            while budget > 0, let job = nextJob() {
                // The variant must match how tasks were created, else every hop costs an extra enqueue.
                if preferring {
                    unsafe job.runSynchronously(isolatedTo: serial, taskExecutor: task)
                } else {
                    unsafe job.runSynchronously(on: serial)
                }
                budget &-= 1
            }
            resumeDeferred()
        } while budget > 0 && !ready.isEmpty
    }

    /// Bodies that need no task have their turn before each job, some of them at a time.
    @inline(__always)
    private func nextJob() -> UnownedJob? {
        Loop.inTurn {
            repeat {
                if bodies.needsLoop { bodies.runSynchronous() }
            } while ready.isEmpty && bodies.needsLoop && budget > 0
        }
        return budget > 0 ? ready.pop() : nil
    }

    /// Counts one more piece of work done inside a job, as if it were a job; false when the turn has had enough.
    @Loop func spend() -> Bool {
        budget &-= 1
        return budget > 0
    }

    private func resumeDeferred() {
        guard hasDeferred else { return }
        let waiting = deferred
        (deferred, hasDeferred) = ([], false)
        for continuation in waiting { continuation.resume() }
    }

    private func takeInbox() {
        guard inboxSignalled.load(ordering: .relaxed),
            inboxSignalled.exchange(false, ordering: .acquiringAndReleasing)
        else { return }
        let taken = inbox.withLock { inbox in
            let taken = inbox
            inbox = Inbox()
            return taken
        }
        for job in taken.jobs { ready.push(job) }
        for call in taken.calls { Loop.inTurn { call() } }
    }

    /// The first half of a turn: jobs, then the flush; returns whether work is left.
    func beginTurn() -> Bool {
        turnCounter.wrappingAdd(1, ordering: .relaxed)
        runLater()
        drain()
        Loop.inTurn { list.flush() }
        return hasWork
    }

    private func runLater() {
        guard hasLater else { return }
        let calls = later
        (later, hasLater) = ([], false)
        Loop.inTurn { for call in calls { call() } }
    }

    var hasWork: Bool {
        !ready.isEmpty || hasDeferred || hasLater
            || Loop.inTurn { !list.isEmpty || bodies.needsLoop }
            || inboxSignalled.load(ordering: .relaxed)
    }

    /// Manual driver only: one turn on the calling thread, which becomes the loop's; returns whether work is left.
    @discardableResult
    public func runTurn() -> Bool {
        precondition(uv == nil, "the loop has a thread of its own")
        bindToCurrentThread()
        return beginTurn()
    }

    /// Manual driver only: turns until nothing is left to do; returns false when `limit` turns did not suffice.
    @discardableResult
    public func runUntilIdle(limit: Int = 100_000) -> Bool {
        for _ in 0..<limit where !runTurn() { return true }
        return false
    }
}
