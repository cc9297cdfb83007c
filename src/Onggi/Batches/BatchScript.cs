using Onggi.Caching;
using Onggi.Client;
using Onggi.Scripts;

namespace Onggi.Batches;

/// <summary>The script of batches, and how it is spoken to.</summary>
internal static class BatchScript
{
    private const int ArgsPerEntry = 5;

    public static readonly RedisScript Script = LuaScript.Load("batch.lua");

    public static RedisArg[] NewArgs(int entries)
    {
        var args = new RedisArg[ArgsPerEntry * entries];
        Array.Fill(args, "");
        return args;
    }

    public static Span<RedisArg> ArgsOf(RedisArg[] args, int entry) => args.AsSpan(ArgsPerEntry * entry, ArgsPerEntry);

    public static RedisArg[] KeysOf(string wireName) => [wireName, LeaseName.Of(wireName)];
}
