//! Terminals: a person at a shell in a container, as with `docker run -it`.

use crate::{idle, weft};

#[test]
fn a_shell_with_a_size_that_follows_the_window() {
    let Some(weft) = weft() else { return };
    let mut terminal = weft.terminal(&["run", "--rm", "-it", "busybox", "sh"]);
    terminal.shows("# ");
    terminal.types("tty; stty size\n");
    terminal.shows("/dev/pts/0");
    terminal.shows("24 80");
    terminal.resize(40, 100);
    terminal.types("while test \"$(stty size)\" != '40 100'; do :; done; echo resi''zed\n");
    terminal.shows("resized");
    terminal.types("exit 5\n");
    assert_eq!(terminal.ends(), 5);
    assert_eq!(weft.ok(&["ps", "--all", "--quiet"]), "");
}

#[test]
fn control_c_interrupts_the_foreground_process() {
    let Some(weft) = weft() else { return };
    let mut terminal = weft.terminal(&["run", "--rm", "-it", "busybox", "sh"]);
    terminal.shows("# ");
    terminal.types("echo wai''ting; cat\n");
    terminal.shows("waiting");
    // Once by the terminal, then by the program: a signal before that may be the shell's.
    terminal.types("typed\n");
    terminal.shows("typed");
    terminal.shows("typed");
    terminal.types("\u{3}");
    terminal.shows("# ");
    terminal.types("exit\n");
    assert_eq!(terminal.ends(), 130);
}

#[test]
fn detach_keys_leave_it_running_and_attach_comes_back() {
    let Some(weft) = weft() else { return };
    let mut terminal = weft.terminal(&["run", "-it", "--name", "shell", "busybox", "sh"]);
    terminal.shows("# ");
    terminal.types("MARK=kept\n");
    terminal.shows("# ");
    terminal.types("\u{10}\u{11}");
    assert_eq!(terminal.ends(), 0);
    assert_eq!(weft.inspect("shell")["State"]["Running"], true);

    let mut again = weft.terminal(&["attach", "--detach-keys", "ctrl-x", "shell"]);
    again.types("echo $MARK-is-here\n");
    again.shows("kept-is-here");
    again.types("\u{18}");
    assert_eq!(again.ends(), 0);
    assert_eq!(weft.inspect("shell")["State"]["Running"], true);

    let mut last = weft.terminal(&["attach", "shell"]);
    last.types("exit 3\n");
    assert_eq!(last.ends(), 3);
}

#[test]
fn exec_on_a_terminal() {
    let Some(weft) = weft() else { return };
    idle(&weft, "host");
    let mut terminal = weft.terminal(&["exec", "-it", "host", "sh"]);
    terminal.shows("# ");
    terminal.types("stty size; test -t 0 && echo a-term''inal\n");
    terminal.shows("24 80");
    terminal.shows("a-terminal");
    terminal.types("exit 6\n");
    assert_eq!(terminal.ends(), 6);
}

#[test]
fn a_terminal_is_refused_where_there_is_none() {
    let Some(weft) = weft() else { return };
    weft.weft(&["run", "--rm", "-it", "busybox", "sh"])
        .fails_saying(&["tty"]);
    assert_eq!(weft.ok(&["ps", "--all", "--quiet"]), "");
}
