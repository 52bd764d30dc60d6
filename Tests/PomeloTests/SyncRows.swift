// SPDX-License-Identifier: MIT

/// Of `rowTable`, what pomelo-sync has.
let syncRows = """
    use(syncPlugin, {sync: {path, dbclient}})
        OptionTests.aKeyHasOneSink
        OptionTests.anIntervalOfOnesOwnIsKept
    app.get('sync')
        MergeTests.theLastValueOfEachIdIsWrittenOnceWithinTheInterval
    mapping (client, value, done)
        OriginalTests.regressionWhatASinkDoesNotTakeIsTriedAgain
        KeepStateArticleTests.theSinkOfOnesOwnTellsWhatBecameOfEach
    sync.exec(key, id, val, cb)
        MergeTests.theLastValueOfEachIdIsWrittenOnceWithinTheInterval
        JournalTests.whatIsAcknowledgedIsInTheJournalUntilASinkHasIt
        OriginalTests.regressionAKeyAndAnIDAreNotJoined
    sync.exec(key, val)
        MergeTests.valuesWithoutIdsComeAllAndInOrder
        FaultTests.noneGoesPastAValueWithoutAnIDThatMayBeWrittenLater
    sync.execSync(key, val, cb)
        MergeTests.execSyncGoesPastThoseThatWait
    sync.flush(key, id, val, cb)
        MergeTests.flushWritesNowAndTellsWhatBecameOfIt
        MergeTests.aFlushWaitsForTheValueOnItsWayAndComesAfterIt
    sync.sync()
        OriginalTests.regressionInfoAndIsDoneTellTheTruth
    sync.isDone()
        OriginalTests.regressionInfoAndIsDoneTellTheTruth
    sync.info()
        OriginalTests.regressionInfoAndIsDoneTellTheTruth
    error <key> callback function not exist
        MergeTests.whatIsWrongIsToldToTheCallerAndNothingIsNoted
    error db sync client is null
        SQLiteSyncSinkTests.tablesAreMadeOnceAndWhenAsked
    options aof, filename, rewriter, timer
        JournalTests.aRestartReplays
        JournalTests.anotherServerOfItsTypeReplaysWhatADeadOneHasLeft
    the plugin's stop
        FaultTests.aStopWritesWhatWaitsAndGivesUpInTime
        JournalTests.aStopLeavesInTheJournalWhatNoSinkTakes
    sync.set, get, getset, mset, mget
        MemoryStoreTests.theAnswersAreThoseOfRedis
        MemoryStoreTests.theStoreIsBounded
    sync.incr, decr, incrby, decrby, strlen
        MemoryStoreTests.theAnswersAreThoseOfRedis
    sync.hset, hmset, hget, hgetall, hkeys, hvals, hlen, hexists
        MemoryStoreTests.theAnswersAreThoseOfRedis
    sync.sadd, sdel
        MemoryStoreTests.theAnswersAreThoseOfRedis
    sync.expire, expireat, ttl, persist
        MemoryStoreTests.theAnswersAreThoseOfRedis
        MemoryStoreTests.aKeyIsGoneWhenItsTimeIsOver
    sync.type, exists, del, rename, keys, randomkey
        MemoryStoreTests.theAnswersAreThoseOfRedis
        MemoryStoreTests.aKeyIsGoneWhenItsTimeIsOver
    """
