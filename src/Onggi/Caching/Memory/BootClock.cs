using System.Runtime.InteropServices;

namespace Onggi.Caching;

/// <summary>Linux's CLOCK_BOOTTIME: milliseconds since the start of the machine, those included for which it was suspended.</summary>
/// <remarks>.NET has no way to it: Stopwatch and TickCount64 read clocks that stand still meanwhile (https://github.com/dotnet/runtime/issues/77945).</remarks>
internal sealed class BootClock : IClock
{
    // linux/time.h.
    private const int Boottime = 7;

    public long Now
    {
        get
        {
            // It cannot fail where it has answered once, and that was asked for at the start.
            _ = Read(Boottime, out var time);
            return (time.Seconds * 1000L) + (time.Nanoseconds / 1_000_000);
        }
    }

    // Whole milliseconds, cut off.
    public long Resolution => 1;

    /// <summary>Why it cannot be had here, as the end of a sentence; <c>null</c> where it can.</summary>
    public static string? WhyNot() => WhyNot(OperatingSystem.IsLinux());

    internal static string? WhyNot(bool isLinux)
    {
        if (!isLinux)
            return "only Linux has that clock.";
        try
        {
            return Read(Boottime, out _) == 0 ? null : "this kernel refuses to read that clock.";
        }
        catch (Exception error) when (error is DllNotFoundException or EntryPointNotFoundException)
        {
            return "this system's libc cannot read that clock.";
        }
    }

    // Fields of the size of the system's long: struct timespec.
    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Time(nint seconds, nint nanoseconds)
    {
        public readonly nint Seconds = seconds;
        public readonly nint Nanoseconds = nanoseconds;
    }

    [DllImport("libc", EntryPoint = "clock_gettime", ExactSpelling = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Read(int clock, out Time time);
}
