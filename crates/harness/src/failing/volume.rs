//! File systems that belong to a test: an ext4 in a file, on a loop device, removed when the test ends.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use tempfile::TempDir;

use crate::command::run;

/// How often unmounting a volume is tried, 20 ms apart.
const UNMOUNT_TRIES: u32 = 50;

/// An ext4 with a journal.
#[derive(Debug)]
pub struct Volume {
    image: PathBuf,
    device: String,
    mounted: bool,
    /// Contains the image and the mount point. Removed after the file system is unmounted.
    home: TempDir,
}

/// Whether this user may make and mount file systems here. If not, it prints why.
pub fn is_allowed() -> bool {
    match Volume::try_new(&[]) {
        Ok(_) => true,
        Err(error) => {
            eprintln!("SKIPPED: no file system can be made and mounted here: {error}");
            false
        }
    }
}

impl Volume {
    /// A new file system of a few MiB.
    pub fn new() -> Volume {
        Volume::try_new(&[]).unwrap()
    }

    /// The same, with mount options.
    pub fn with_options(options: &str) -> Volume {
        Volume::try_new(&["-o", options]).unwrap()
    }

    fn try_new(options: &[&str]) -> Result<Volume, String> {
        let home = TempDir::new().unwrap();
        let image = home.path().join("image");
        fs::File::create(&image)
            .and_then(|file| file.set_len(8 << 20))
            .unwrap();
        run(Command::new("mkfs.ext4")
            .args(["-q", "-F", "-m", "0", "-J", "size=1"])
            .arg(&image))?;
        Volume::open(home, image, options)
    }

    /// The file system in `bytes`: checked as after a power cut, and mounted.
    pub fn from_image(bytes: &[u8]) -> Volume {
        let home = TempDir::new().unwrap();
        let image = home.path().join("image");
        fs::write(&image, bytes).unwrap();
        check(&image);
        Volume::open(home, image, &[]).unwrap()
    }

    fn open(home: TempDir, image: PathBuf, options: &[&str]) -> Result<Volume, String> {
        // No direct I/O: bytes that were written to the device must be visible at once to anybody who reads the file.
        let attach = || {
            run(Command::new("losetup")
                .args(["--find", "--show", "--direct-io=off"])
                .arg(&image))
        };
        // Another test may take the free device first.
        let device = attach()
            .or_else(|_| {
                thread::sleep(Duration::from_millis(100));
                attach()
            })
            .or_else(|_| attach())?;
        let mut volume = Volume {
            image,
            device: device.trim().to_owned(),
            mounted: false,
            home,
        };
        fs::create_dir(volume.path()).unwrap();
        volume.mount(options)?;
        Ok(volume)
    }

    fn mount(&mut self, options: &[&str]) -> Result<(), String> {
        run(Command::new("mount")
            .args(["-t", "ext4"])
            .args(options)
            .arg(&self.device)
            .arg(self.path()))?;
        self.mounted = true;
        Ok(())
    }

    fn unmount(&mut self) {
        self.try_unmount().unwrap();
        self.mounted = false;
    }

    /// Tries again for a while. When another test starts a program, the new process has all files of this process open
    /// until it becomes that program, also those on the volume.
    fn try_unmount(&self) -> Result<(), String> {
        let mut result = Ok(());
        for _ in 0..UNMOUNT_TRIES {
            result = run(Command::new("umount").arg(self.path())).map(drop);
            if result.is_ok() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        result
    }

    /// Unmounts it, checks it if it was damaged, and mounts it with other options.
    pub fn mount_again(&mut self, options: &str) {
        self.unmount();
        check(&self.image);
        self.mount(&["-o", options]).unwrap();
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.home.path().join("mounted")
    }

    /// The file that takes the place of the disk.
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// Makes ext4 believe that it has found itself damaged.
    pub fn report_damage(&self) -> Result<(), String> {
        let name = self.device.trim_start_matches("/dev/");
        fs::write(
            format!("/sys/fs/ext4/{name}/trigger_fs_error"),
            "a test wants it",
        )
        .map_err(|error| error.to_string())
    }

    /// Makes every write to it wait, like a disk that hangs: no signal ends the wait.
    pub fn freeze(&self) -> Frozen {
        run(Command::new("fsfreeze").arg("--freeze").arg(self.path())).unwrap();
        Frozen(self.path())
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        let filler = self.path().join("filler");
        let mut file = fs::File::create(filler).unwrap();
        for piece in [vec![1; 65536], vec![1; 1024], vec![1]] {
            while std::io::Write::write_all(&mut file, &piece).is_ok() {}
        }
        file.sync_all().unwrap();
        let error = fs::write(self.path().join("one-more"), "x").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        let _ = fs::remove_file(self.path().join("one-more"));
    }
}

/// A file system that takes no writes until this is dropped. Drop it before you wait for the server.
#[derive(Debug)]
pub struct Frozen(PathBuf);

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("fsfreeze").arg("--unfreeze").arg(&self.0)) {
            eprintln!("{} stays frozen: {error}", self.0.display());
        }
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if self.mounted && self.try_unmount().is_err() {
            eprintln!("{} is busy; unmounting it lazily", self.path().display());
            let _ = run(Command::new("umount").arg("--lazy").arg(self.path()));
        }
        if let Err(error) = run(Command::new("losetup").args(["--detach", &self.device])) {
            eprintln!("{} stays: {error}", self.device);
        }
    }
}

/// Checks a file system as after a power cut. Replaying the journal must be enough; there must be nothing else to
/// repair.
fn check(image: &Path) {
    let output = Command::new("fsck.ext4").arg("-p").arg(image).output();
    let output = output.unwrap();
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
