using System.ComponentModel;
using System.Diagnostics;

namespace PhoneBill.Demo;

/// <summary>Starts other programs with their standard streams in our hands.</summary>
internal static class Programs
{
    public static ProcessStartInfo Piped(string file, params string[] arguments) =>
        new(file, arguments)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };

    /// <exception cref="DemoException">The program is not installed; the message says how to get it.</exception>
    public static Process Start(ProcessStartInfo start, string advice)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception)
        {
            throw new DemoException($"{start.FileName} is not installed. {advice}");
        }
    }
}
