namespace Onggi.Client.Resp;

/// <summary>The commands of Redis 7.0, and those of later servers and of Valkey that stand in their place; a test compares it with what a server says of itself.</summary>
/// <remarks>
/// <para>Keys: their places among the words, the name being word 0. <c>1</c>: the first. <c>1..-1</c>: from the first to the last word; <c>/2</c>: every second. <c>n@2</c>: word 2
/// is their number, they follow. <c>1+n@2</c>: also the first. <c>1+store</c>: the first, and the one behind STORE. <c>-</c>: none.</para>
/// <para>Flags: <c>reads</c> changes nothing. <c>cursor</c>: must go on at the server where it began. <c>bulk</c>: long replies. <c>blocks</c>: keeps its connection waiting;
/// <c>blocks?</c>: with the option BLOCK. <c>connection</c>: changes the state of its connection. <c>again</c>: a second time is harmless; <c>again?</c>: without options other
/// than a time to live. <c>state</c>: a second time leaves the same data but another reply; <c>state?</c>: unless options stand behind the key. <c>array</c>, <c>sum</c>, <c>ok</c>: may be
/// split by slot, and how the replies are joined. Without <c>reads</c>, <c>again</c> or <c>state</c> a command is never made again: where in doubt it says nothing.</para>
/// </remarks>
internal static class CommandList
{
    public const string Text = """
        # Strings
        APPEND                   1
        DECR                     1
        DECRBY                   1
        DELIFEQ                  1
        GET                      1        reads
        GETDEL                   1
        GETEX                    1        again
        GETRANGE                 1        reads
        GETSET                   1
        INCR                     1
        INCRBY                   1
        INCRBYFLOAT              1
        LCS                      1..2     reads
        MGET                     1..-1    reads array
        MSET                     1..-1/2  again ok
        MSETNX                   1..-1/2
        PSETEX                   1        again
        SET                      1        again?
        SETEX                    1        again
        SETNX                    1
        SETRANGE                 1        again
        STRLEN                   1        reads
        SUBSTR                   1        reads
        # Bits
        BITCOUNT                 1        reads
        BITFIELD                 1
        BITFIELD_RO              1        reads
        BITOP                    2..-1
        BITPOS                   1        reads
        GETBIT                   1        reads
        SETBIT                   1        state
        # Keys of any type
        COPY                     1..2
        DEL                      1..-1    state sum
        DUMP                     1        reads bulk
        EXISTS                   1..-1    reads sum
        EXPIRE                   1        again?
        EXPIREAT                 1        again?
        EXPIRETIME               1        reads
        KEYS                     -        reads bulk
        MIGRATE                  migrate
        MOVE                     1
        OBJECT ENCODING          2        reads
        OBJECT FREQ              2        reads
        OBJECT HELP              -        again
        OBJECT IDLETIME          2        reads
        OBJECT REFCOUNT          2        reads
        PERSIST                  1        state
        PEXPIRE                  1        again?
        PEXPIREAT                1        again?
        PEXPIRETIME              1        reads
        PTTL                     1        reads
        RANDOMKEY                -        reads
        RENAME                   1..2
        RENAMENX                 1..2
        RESTORE                  1
        RESTORE-ASKING           1
        SCAN                     -        reads cursor bulk
        SORT                     1+store  bulk
        SORT_RO                  1        reads bulk
        TOUCH                    1..-1    reads sum
        TTL                      1        reads
        TYPE                     1        reads
        UNLINK                   1..-1    state sum
        WAIT                     -        blocks
        WAITAOF                  -        blocks
        # Hashes
        HDEL                     1        state
        HEXISTS                  1        reads
        HEXPIRE                  1
        HEXPIREAT                1
        HEXPIRETIME              1        reads
        HGET                     1        reads
        HGETALL                  1        reads bulk
        HGETDEL                  1
        HGETEX                   1
        HINCRBY                  1
        HINCRBYFLOAT             1
        HKEYS                    1        reads bulk
        HLEN                     1        reads
        HMGET                    1        reads
        HMSET                    1        again
        HPERSIST                 1
        HPEXPIRE                 1
        HPEXPIREAT               1
        HPEXPIRETIME             1        reads
        HPTTL                    1        reads
        HRANDFIELD               1        reads
        HSCAN                    1        reads cursor bulk
        HSET                     1        state
        HSETEX                   1
        HSETNX                   1
        HSTRLEN                  1        reads
        HTTL                     1        reads
        HVALS                    1        reads bulk
        # Lists
        BLMOVE                   1..2     blocks
        BLMPOP                   n@2      blocks
        BLPOP                    1..-2    blocks
        BRPOP                    1..-2    blocks
        BRPOPLPUSH               1..2     blocks
        LINDEX                   1        reads
        LINSERT                  1
        LLEN                     1        reads
        LMOVE                    1..2
        LMPOP                    n@1
        LPOP                     1
        LPOS                     1        reads
        LPUSH                    1
        LPUSHX                   1
        LRANGE                   1        reads bulk
        LREM                     1
        LSET                     1
        LTRIM                    1
        RPOP                     1
        RPOPLPUSH                1..2
        RPUSH                    1
        RPUSHX                   1
        # Sets
        SADD                     1        state
        SCARD                    1        reads
        SDIFF                    1..-1    reads bulk
        SDIFFSTORE               1..-1
        SINTER                   1..-1    reads bulk
        SINTERCARD               n@1      reads
        SINTERSTORE              1..-1    again
        SISMEMBER                1        reads
        SMEMBERS                 1        reads bulk
        SMISMEMBER               1        reads
        SMOVE                    1..2
        SPOP                     1
        SRANDMEMBER              1        reads
        SREM                     1        state
        SSCAN                    1        reads cursor bulk
        SUNION                   1..-1    reads bulk
        SUNIONSTORE              1..-1    again
        # Sorted sets
        BZMPOP                   n@2      blocks
        BZPOPMAX                 1..-2    blocks
        BZPOPMIN                 1..-2    blocks
        ZADD                     1        state?
        ZCARD                    1        reads
        ZCOUNT                   1        reads
        ZDIFF                    n@1      reads bulk
        ZDIFFSTORE               1+n@2
        ZINCRBY                  1
        ZINTER                   n@1      reads bulk
        ZINTERCARD               n@1      reads
        ZINTERSTORE              1+n@2
        ZLEXCOUNT                1        reads
        ZMPOP                    n@1
        ZMSCORE                  1        reads
        ZPOPMAX                  1
        ZPOPMIN                  1
        ZRANDMEMBER              1        reads
        ZRANGE                   1        reads bulk
        ZRANGEBYLEX              1        reads bulk
        ZRANGEBYSCORE            1        reads bulk
        ZRANGESTORE              1..2
        ZRANK                    1        reads
        ZREM                     1        state
        ZREMRANGEBYLEX           1        state
        ZREMRANGEBYRANK          1
        ZREMRANGEBYSCORE         1        state
        ZREVRANGE                1        reads bulk
        ZREVRANGEBYLEX           1        reads bulk
        ZREVRANGEBYSCORE         1        reads bulk
        ZREVRANK                 1        reads
        ZSCAN                    1        reads cursor bulk
        ZSCORE                   1        reads
        ZUNION                   n@1      reads bulk
        ZUNIONSTORE              1+n@2
        # Places on the earth
        GEOADD                   1        state?
        GEODIST                  1        reads
        GEOHASH                  1        reads
        GEOPOS                   1        reads
        GEORADIUS                1+store  bulk
        GEORADIUS_RO             1        reads bulk
        GEORADIUSBYMEMBER        1+store  bulk
        GEORADIUSBYMEMBER_RO     1        reads bulk
        GEOSEARCH                1        reads bulk
        GEOSEARCHSTORE           1..2
        # HyperLogLog
        PFADD                    1        state
        PFCOUNT                  1..-1    reads
        PFDEBUG                  2
        PFMERGE                  1..-1    again
        PFSELFTEST               -
        # Streams
        XACK                     1        state
        XADD                     1
        XAUTOCLAIM               1
        XCLAIM                   1
        XDEL                     1        state
        XGROUP CREATE            2
        XGROUP CREATECONSUMER    2        state
        XGROUP DELCONSUMER       2
        XGROUP DESTROY           2        state
        XGROUP HELP              -        again
        XGROUP SETID             2        again
        XINFO CONSUMERS          2        reads
        XINFO GROUPS             2        reads
        XINFO HELP               -        again
        XINFO STREAM             2        reads
        XLEN                     1        reads
        XPENDING                 1        reads
        XRANGE                   1        reads bulk
        XREAD                    streams  reads bulk blocks?
        XREADGROUP               streams  bulk blocks?
        XREVRANGE                1        reads bulk
        XSETID                   1
        XTRIM                    1
        # Pub/Sub
        PSUBSCRIBE               -        blocks connection
        PUBLISH                  -
        PUBSUB CHANNELS          -        again
        PUBSUB HELP              -        again
        PUBSUB NUMPAT            -        again
        PUBSUB NUMSUB            -        again
        PUBSUB SHARDCHANNELS     -        again
        PUBSUB SHARDNUMSUB       -        again
        PUNSUBSCRIBE             -        blocks connection
        SPUBLISH                 1
        SSUBSCRIBE               1..-1    blocks connection
        SUBSCRIBE                -        blocks connection
        SUNSUBSCRIBE             1..-1    blocks connection
        UNSUBSCRIBE              -        blocks connection
        # Scripts and functions
        EVAL                     n@2
        EVAL_RO                  n@2      reads
        EVALSHA                  n@2
        EVALSHA_RO               n@2      reads
        FCALL                    n@2
        FCALL_RO                 n@2      reads
        FUNCTION DELETE          -
        FUNCTION DUMP            -        again bulk
        FUNCTION FLUSH           -
        FUNCTION HELP            -        again
        FUNCTION KILL            -
        FUNCTION LIST            -        again bulk
        FUNCTION LOAD            -
        FUNCTION RESTORE         -
        FUNCTION STATS           -        again
        SCRIPT DEBUG             -        connection
        SCRIPT EXISTS            -        again
        SCRIPT FLUSH             -
        SCRIPT HELP              -        again
        SCRIPT KILL              -
        SCRIPT LOAD              -        again
        SCRIPT SHOW              -        again
        # Transactions
        DISCARD                  -        connection
        EXEC                     -        connection
        MULTI                    -        connection
        UNWATCH                  -        connection
        WATCH                    1..-1    connection
        # The connection
        ASKING                   -        connection
        AUTH                     -        connection
        CLIENT CACHING           -        connection
        CLIENT CAPA              -        connection
        CLIENT GETNAME           -        again
        CLIENT GETREDIR          -        again
        CLIENT HELP              -        again
        CLIENT ID                -        again
        CLIENT IMPORT-SOURCE     -        connection
        CLIENT INFO              -        again
        CLIENT KILL              -
        CLIENT LIST              -        again bulk
        CLIENT NO-EVICT          -        connection
        CLIENT NO-TOUCH          -        connection
        CLIENT PAUSE             -
        CLIENT REPLY             -        connection
        CLIENT SETINFO           -        connection
        CLIENT SETNAME           -        connection
        CLIENT TRACKING          -        connection
        CLIENT TRACKINGINFO      -        again
        CLIENT UNBLOCK           -
        CLIENT UNPAUSE           -
        ECHO                     -        again
        HELLO                    -        connection
        PING                     -        again
        QUIT                     -        connection
        READONLY                 -        connection
        READWRITE                -        connection
        RESET                    -        connection
        SELECT                   -        connection
        # The cluster
        CLUSTER ADDSLOTS         -
        CLUSTER ADDSLOTSRANGE    -
        CLUSTER BUMPEPOCH        -
        CLUSTER COUNT-FAILURE-REPORTS  -  again
        CLUSTER COUNTKEYSINSLOT  -        again
        CLUSTER DELSLOTS         -
        CLUSTER DELSLOTSRANGE    -
        CLUSTER FAILOVER         -
        CLUSTER FLUSHSLOTS       -
        CLUSTER FORGET           -
        CLUSTER GETKEYSINSLOT    -        again bulk
        CLUSTER HELP             -        again
        CLUSTER INFO             -        again
        CLUSTER KEYSLOT          -        again
        CLUSTER LINKS            -        again
        CLUSTER MEET             -
        CLUSTER MYID             -        again
        CLUSTER MYSHARDID        -        again
        CLUSTER NODES            -        again
        CLUSTER REPLICAS         -        again
        CLUSTER REPLICATE        -
        CLUSTER RESET            -
        CLUSTER SAVECONFIG       -
        CLUSTER SET-CONFIG-EPOCH  -
        CLUSTER SETSLOT          -
        CLUSTER SHARDS           -        again
        CLUSTER SLAVES           -        again
        CLUSTER SLOT-STATS       -        again bulk
        CLUSTER SLOTS            -        again
        # The server
        ACL CAT                  -        again
        ACL DELUSER              -
        ACL DRYRUN               -        again
        ACL GENPASS              -        again
        ACL GETUSER              -        again
        ACL HELP                 -        again
        ACL LIST                 -        again
        ACL LOAD                 -
        ACL LOG                  -
        ACL SAVE                 -
        ACL SETUSER              -
        ACL USERS                -        again
        ACL WHOAMI               -        again
        BGREWRITEAOF             -
        BGSAVE                   -
        COMMAND                  -        again bulk
        COMMAND COUNT            -        again
        COMMAND DOCS             -        again bulk
        COMMAND GETKEYS          -        again
        COMMAND GETKEYSANDFLAGS  -        again
        COMMAND HELP             -        again
        COMMAND INFO             -        again bulk
        COMMAND LIST             -        again bulk
        CONFIG GET               -        again
        CONFIG HELP              -        again
        CONFIG RESETSTAT         -
        CONFIG REWRITE           -
        CONFIG SET               -        again
        DBSIZE                   -        reads
        DEBUG                    -
        FAILOVER                 -
        FLUSHALL                 -
        FLUSHDB                  -
        INFO                     -        again
        LASTSAVE                 -        again
        LATENCY DOCTOR           -        again
        LATENCY GRAPH            -        again
        LATENCY HELP             -        again
        LATENCY HISTOGRAM        -        again
        LATENCY HISTORY          -        again
        LATENCY LATEST           -        again
        LATENCY RESET            -
        LOLWUT                   -        reads
        MEMORY DOCTOR            -        again
        MEMORY HELP              -        again
        MEMORY MALLOC-STATS      -        again
        MEMORY PURGE             -        again
        MEMORY STATS             -        again
        MEMORY USAGE             2        reads
        MODULE HELP              -        again
        MODULE LIST              -        again
        MODULE LOAD              -
        MODULE LOADEX            -
        MODULE UNLOAD            -
        MONITOR                  -        blocks connection
        PSYNC                    -        blocks connection
        REPLCONF                 -        connection
        REPLICAOF                -
        ROLE                     -        again
        SAVE                     -
        SHUTDOWN                 -
        SLAVEOF                  -
        SLOWLOG GET              -        again bulk
        SLOWLOG HELP             -        again
        SLOWLOG LEN              -        again
        SLOWLOG RESET            -
        SWAPDB                   -
        SYNC                     -        blocks connection
        TIME                     -        again
        """;
}
